// What is wrong with a page as it is shown, one line each:
// scrolls sideways · outside · contrast · overflows · low (a button) · broken (a button's text) · below (the title)
() => {
  const MIN_CONTRAST = 4.5, MIN_TAP = 44, SLACK = 1;
  const root = document.documentElement, width = root.clientWidth, faults = new Set();
  const quote = text => JSON.stringify(text.trim().replace(/\s+/g, " ").slice(0, 40));
  const within = (inner, left, right) => inner.left >= left - SLACK && inner.right <= right + SLACK;

  // ── colours: [red, green, blue, alpha], each of 0 to 1 ──
  const parse = colour => {
    const [r, g, b, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return [r / 255, g / 255, b / 255, alpha];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const behind = element => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      layers.push(parse(getComputedStyle(node).backgroundColor));
      if (layers.at(-1)[3] === 1) return layers.reduceRight((below, top) => over(top, below));
    }
    return null; // what is not painted is the program's, which may be black or white
  };
  const opacity = element => {
    let product = 1;
    for (let node = element; node; node = node.parentElement) product *= getComputedStyle(node).opacity;
    return product;
  };
  const luminance = colour => {
    const [r, g, b] = colour.map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = element => {
    const below = behind(element);
    if (!below) return 0;
    const ink = parse(getComputedStyle(element).color);
    const [light, dark] = [over([...ink.slice(0, 3), ink[3] * opacity(element)], below), below]
      .map(luminance).sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  if (root.scrollWidth > width) faults.add(`scrolls sideways: ${root.scrollWidth} of ${width}`);

  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width && box.height && !within(box, 0, width)) faults.add(`outside: ${element.tagName} ${quote(element.textContent)}`);
  }

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode, element = text.parentElement, range = document.createRange();
    if (!text.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    range.selectNodeContents(text);
    let block = element;
    while (getComputedStyle(block).display === "inline") block = block.parentElement;
    const { left, right } = block.getBoundingClientRect();
    for (const box of range.getClientRects()) {
      if (!within(box, 0, width)) faults.add(`outside: ${quote(text.data)}`);
      if (!within(box, left, right)) faults.add(`overflows: ${quote(text.data)}`);
    }
    const ratio = contrast(element);
    if (ratio < MIN_CONTRAST) faults.add(`contrast: ${ratio.toFixed(1)} of ${quote(text.data)}`);
  }

  // A link that is a block of its own is a button: it is meant for thumbs.
  for (const link of document.querySelectorAll("a")) {
    if (getComputedStyle(link).display === "inline") continue;
    const range = document.createRange();
    range.selectNodeContents(link);
    const lines = new Set([...range.getClientRects()].map(box => box.top));
    if (link.getBoundingClientRect().height < MIN_TAP) faults.add(`low: ${quote(link.textContent)}`);
    if (lines.size > 1) faults.add(`broken: ${quote(link.textContent)}`);
  }

  const title = document.querySelector("h1");
  if (!title || title.getBoundingClientRect().bottom > innerHeight) faults.add("below: the title");
  return [...faults];
}
