() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pixel = canvas.getContext("2d", { willReadFrequently: true });

  function rgba(colour) {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  }

  function luminance(colour) {
    const parts = colour.slice(0, 3).map((part) => part / 255);
    const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  function ground(node) {
    if (!node) return [255, 255, 255];
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 255 ? own : ground(node.parentElement);
  }

  function ratio(node) {
    const both = [luminance(rgba(getComputedStyle(node).color)), luminance(ground(node))];
    return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  }

  const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  return [...document.querySelectorAll("main *")]
    .filter((node) => hasText(node) && node.checkVisibility() && !node.disabled && node.tagName !== "OPTION")
    .map((node) => [node, ratio(node)])
    .filter(([, contrast]) => contrast < 4.5)
    .map(([node, contrast]) => `${node.className || node.tagName} ${node.textContent.slice(0, 30)}: ${contrast}`);
}
