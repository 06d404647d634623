// Contrast of every text with what lies under its middle and its ends, as the browser computes it.
(() => {
  const style = document.head.appendChild(document.createElement("style"));
  style.textContent = "* { pointer-events: all !important } .tall { max-height: none !important }";
  for (const halves of document.querySelectorAll(".halves")) {
    const [first, second] = halves.querySelectorAll("svg"), shape = first.viewBox.baseVal;
    second.remove();
    first.setAttribute("viewBox", `0 0 ${2 * shape.width} ${shape.height}`);
  }
  const parse = text => {
    const numbers = (text.match(/[\d.]+/g) ?? []).map(Number);
    return numbers.length < 3 ? null : [...numbers.slice(0, 3), numbers[3] ?? 1];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const light = colour => {
    const [r, g, b] = colour.map(c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
  const isDrawn = element => element instanceof SVGElement;
  const faded = element => {
    let share = 1;
    for (let at = element; at; at = at.parentElement) share *= Number(getComputedStyle(at).opacity);
    return share;
  };
  const paint = element => {
    const computed = getComputedStyle(element);
    const fills = isDrawn(element) && !["svg", "g", "a", "text", "image"].includes(element.localName);
    const colour = parse(isDrawn(element) ? (fills ? computed.fill : "") : computed.backgroundColor);
    if (!colour) return null;
    return [...colour.slice(0, 3), colour[3] * (isDrawn(element) ? Number(computed.fillOpacity) : 1) * faded(element)];
  };
  const under = (element, x, y) => {
    const stack = document.elementsFromPoint(x, y), own = stack.indexOf(element);
    const layers = own < 0 ? null : stack.slice(own).map(paint).filter(Boolean).reverse();
    return layers && layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const poor = [];
  let texts = 0, drawn = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE", "title"].includes(element.nodeName)) continue;
    if (element.closest(".unseen, .skip, [hidden]")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const place = range.getClientRects()[0];
    if (!place || !place.width) continue;
    element.closest(".wide, .drawing")?.scrollTo(0, 0);
    const computed = getComputedStyle(element);
    const colour = parse(isDrawn(element) ? computed.fill : computed.color);
    if (!colour) { poor.push([node.data.trim(), "no colour"]); continue; }
    let seen = false;
    for (const share of [.5, .1, .9]) {
      const ground = under(element, place.x + share * place.width, place.y + place.height / 2);
      if (!ground) continue;
      seen = true;
      const solid = [...colour.slice(0, 3), colour[3] * (isDrawn(element) ? Number(computed.fillOpacity) : 1) * faded(element)];
      const found = contrast(over(solid, ground), ground);
      if (found < 4.5) { poor.push([node.data.trim(), found.toFixed(2), computed.fill, computed.color, ground.map(Math.round).join(), element.closest("figure")?.id]); break; }
    }
    texts += seen;
    drawn += seen && isDrawn(element);
  }
  return { texts, drawn, poor };
})()
