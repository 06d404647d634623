"use strict";
(() => {
  const root = document.documentElement, byId = id => document.getElementById(id);
  const all = (query, from = document) => [...from.querySelectorAll(query)];

  // The theme: as the system asks until the button is used; kept for the session where allowed.
  const theme = byId("theme"), asked = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : asked.matches;
  const remembered = (...value) => {
    try { return value.length ? sessionStorage.setItem("theme", value[0]) : sessionStorage.getItem("theme"); }
    catch { return null; }
  };
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.ariaLabel = `${theme.textContent} theme`; };
  const before = remembered();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  theme.hidden = false;
  theme.onclick = () => { root.dataset.theme = dark() ? "light" : "dark"; remembered(root.dataset.theme); label(); };
  asked.addEventListener("change", label);
  label();

  // A link to a cell opens it; paper shows all of them.
  const open = () => {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && byId(id);
    if (!target) return;
    const inner = target.querySelector(":scope > details");
    if (inner) inner.open = true;
    for (let at = target; at; at = at.parentElement) if (at.localName === "details") at.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  document.addEventListener("click", event => {
    const link = event.target.closest?.("a");
    if (link && link.getAttribute("href") === location.hash) setTimeout(open);
  });
  open();
  let closed = [];
  addEventListener("beforeprint", () => { closed = all("details:not([open], .numbers)"); closed.forEach(one => one.open = true); });
  addEventListener("afterprint", () => closed.forEach(one => one.open = false));

  // Commands to copy.
  for (const block of all(".command")) {
    const button = document.createElement("button"), code = block.querySelector("code");
    button.type = "button";
    button.textContent = "Copy";
    button.onclick = async () => {
      try { await navigator.clipboard.writeText(code.textContent); button.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(code); button.textContent = "Selected"; }
      setTimeout(() => button.textContent = "Copy", 1500);
    };
    block.append(button);
  }

  // Sorting: numbers by size, what is missing last, as written to begin with.
  const value = cell => {
    const text = (cell.dataset.sort ?? cell.textContent).trim();
    if (text === "" || text === "–") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a !== typeof b ? (typeof a === "number" ? -1 : 1) : a.localeCompare(b, "en", { numeric: true });
  for (const table of all("table:has(thead)")) {
    const body = table.tBodies[0], rows = body ? [...body.rows] : [], heads = [...table.tHead.rows[0].cells];
    if (rows.length < 3 || table.closest(".why") || rows.some(row => row.cells.length !== heads.length)) continue;
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.onclick = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(one => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = rows.map((row, i) => ({ row, i, key: value(row.cells[column]) }));
        keyed.sort((a, b) => a.key === null || b.key === null ? (a.key === null) - (b.key === null) || a.i - b.i
          : (down ? -1 : 1) * compare(a.key, b.key) || a.i - b.i);
        body.append(...keyed.map(one => one.row));
      };
    });
  }

  // The filter: words that all occur, and any of the pressed verdicts.
  const cells = byId("cell-table");
  if (cells) {
    const field = byId("filter"), buttons = all(".buttons button"), rows = [...cells.tBodies[0].rows];
    const texts = new Map(rows.map(row => [row, `${row.dataset.label} ${row.textContent}`.toLowerCase()]));
    const filter = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = buttons.filter(b => b.ariaPressed === "true").map(b => b.dataset.outcome);
      for (const row of rows) row.hidden = !(words.every(word => texts.get(row).includes(word))
        && (!wanted.length || wanted.includes(row.dataset.outcome)));
      const shown = rows.filter(row => !row.hidden).length;
      byId("shown").textContent = shown < rows.length ? `${shown} of ${rows.length} cells` : "";
    };
    field.oninput = filter;
    for (const button of buttons) button.onclick = () => { button.ariaPressed = String(button.ariaPressed !== "true"); filter(); };
    cells.parentElement.previousElementSibling.hidden = false;
    filter();
  }

  // Hovering over curves: the epoch and the means there.
  const box = byId("hover"), SVG = "http://www.w3.org/2000/svg";
  const say = (name, number) => number == null ? "–" : /_acc$/.test(name) ? `${(100 * number).toFixed(1)}%`
    : String(Number(number.toPrecision(4)));
  const called = name => name.replace(/_acc$/, "_accuracy").replace("_2x", ", twice the steps")
    .replace("fgsm", "single-step").replace("fosc_", "FOSC_").replaceAll("_", " ");
  const cross = svg => svg.querySelector(".cross") || svg.appendChild(document.createElementNS(SVG, "line"));
  const hide = figure => { box.hidden = true; all(".cross", figure).forEach(one => one.remove()); };
  const show = (figure, data, event) => {
    hide(figure);
    const svg = event.target.closest("svg");
    if (!svg) return;
    const halves = all("svg", figure), place = svg.getBoundingClientRect(), shape = svg.viewBox.baseVal;
    const whole = shape.width * halves.length;
    const x = shape.x + (event.clientX - place.left) / place.width * shape.width;
    const y = (event.clientY - place.top) / place.height * shape.height;
    const panel = data.panels.find(([left, top, width, height]) => x >= left * whole && x <= (left + width) * whole
      && y >= top * shape.height && y <= (top + height) * shape.height);
    if (!panel) return;
    const [left, top, width, height, first, last, columns] = panel;
    const at = first + (x / whole - left) / width * (last - first);
    const rows = [];
    let epoch = null;
    for (const one of data.series) {
      const known = columns.filter(name => one.means[name]);
      if (!known.length) continue;
      const length = one.means[known[0]].length;
      let index = one.epochs ? one.epochs.reduce((best, e, i) => Math.abs(e - at) < Math.abs(one.epochs[best] - at) ? i : best, 0)
        : Math.round(at - one.from);
      index = Math.max(0, Math.min(length - 1, index));
      epoch ??= one.epochs ? one.epochs[index] : one.from + index;
      for (const name of known) rows.push([`${one.name} ${called(name)}`, say(name, one.means[name][index])]);
    }
    if (epoch === null) return;
    const line = cross(svg), across = (left + (epoch - first) / (last - first || 1) * width) * whole;
    const ends = { x1: across, x2: across, y1: top * shape.height, y2: (top + height) * shape.height, class: "cross" };
    for (const [key, end] of Object.entries(ends)) line.setAttribute(key, end);
    const table = document.createElement("table");
    for (const [name, text] of [["epoch", String(epoch)], ...rows]) {
      const row = table.insertRow(), head = document.createElement("th");
      head.textContent = name;
      row.append(head);
      row.insertCell().textContent = text;
    }
    box.replaceChildren(table);
    box.hidden = false;
    const right = event.clientX + 18 + box.offsetWidth > innerWidth;
    box.style.left = `${Math.max(4, right ? event.clientX - 14 - box.offsetWidth : event.clientX + 18)}px`;
    box.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8))}px`;
  };
  for (const figure of all("[data-hover]")) {
    let data = null;
    const move = event => {
      data ??= JSON.parse(figure.querySelector("script").textContent);
      show(figure, data, event);
    };
    figure.addEventListener("pointermove", move);
    figure.addEventListener("pointerdown", move);
    figure.addEventListener("pointerleave", () => hide(figure));
  }
})();
