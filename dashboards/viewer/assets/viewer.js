// The viewer of a case's images: wheel and keys scroll, drag sets the window, number keys choose one,
// H lays the map over the image. Nothing of it runs the page again.
import { Overlay, paint } from "./picture.js";
import { Slices } from "./slices.js";

const VIEWERS = new WeakMap(); // a node of the page -> its viewer, which outlives reruns
const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
const RULER = "#F0E442";

export default function (component) {
  const { data, parentElement } = component;
  let viewer = VIEWERS.get(parentElement);
  if (!viewer || viewer.id !== data.id) {
    // another case opened from this one begins at its head, and not where the reader had come to
    if (viewer) document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0);
    viewer?.close();
    viewer = new Viewer(parentElement, data);
    VIEWERS.set(parentElement, viewer);
  } else viewer.renew(data);
}

function element(name, classes = "", text = "") {
  const made = document.createElement(name);
  made.className = classes;
  made.textContent = text; // never markup
  return made;
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);
const short = (value) => (Math.abs(value) < 10 && value % 1 ? value.toFixed(2) : String(Math.round(value)));
const signed = (value) => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toPrecision(2);

class Pane {
  constructor(viewer, series) {
    this.viewer = viewer;
    this.node = element("div", "pane");
    this.canvas = this.node.appendChild(document.createElement("canvas"));
    this.corners = {};
    for (const at of ["tl", "tr", "bl", "br"]) this.corners[at] = this.node.appendChild(element("div", `text ${at}`));
    this.letters = {};
    for (const at of ["left", "right", "top", "bottom"])
      this.letters[at] = this.node.appendChild(element("div", `letter ${at}`));
    this.problem = this.node.appendChild(element("div", "problem hidden"));
    this.show(series);
  }

  show(series) {
    this.series = series;
    this.slices = viewerSlices(this.viewer, series);
    this.number = series.start;
    const first = series.presets.find((one) => one.first) || series.presets[0];
    [this.low, this.high, this.preset] = [first.low, first.high, first.name];
    this.picture = document.createElement("canvas");
    this.painted = "";
    this.overlay = series.map ? new Overlay(series.map, series, this.viewer.full) : null;
    this.ruler = null;
    const [, down, across] = series.orientation.length === 3 ? series.orientation : ["", ...series.orientation];
    this.letters.right.textContent = across || "";
    this.letters.left.textContent = OPPOSITE[across] || "";
    this.letters.bottom.textContent = down || "";
    this.letters.top.textContent = OPPOSITE[down] || "";
  }

  // Millimetres, or pixels where nobody says their length.
  get lengths() {
    const { row_mm: row, column_mm: column } = this.series;
    return row && column ? [row, column] : [1, 1];
  }

  // How the slice lies on the canvas: pixels of the canvas for a row, a column, and its corner.
  place() {
    const { rows, columns } = this.series, [row, column] = this.lengths;
    const { clientWidth: width, clientHeight: height } = this.node;
    const fit = Math.min(width / (columns * column), height / (rows * row)) * this.viewer.zoom;
    const [down, across] = [fit * row, fit * column];
    return {
      down, across, fit,
      top: (height - rows * down) / 2 + this.viewer.pan[1] * height,
      left: (width - columns * across) / 2 + this.viewer.pan[0] * width,
    };
  }

  draw() {
    const { series, viewer, number } = this, began = performance.now();
    const slice = this.slices.get(number), failed = this.slices.failed.get(number);
    const ratio = window.devicePixelRatio || 1, context = this.canvas.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.node;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.problem.classList.toggle("hidden", !failed);
    this.problem.textContent = failed || "";
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (failed) context.clearRect(0, 0, width, height);
    this.words();
    if (!slice) return;
    const wanted = `${number} ${this.low} ${this.high}`;
    if (this.painted !== wanted) paint(this.picture, slice, series, number, this.low, this.high);
    this.painted = wanted;
    context.clearRect(0, 0, width, height);
    const { down, across, top, left } = this.place();
    context.imageSmoothingEnabled = across < 4; // pixels are seen as such when they are large
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture, left, top, series.columns * across, series.rows * down);
    if (viewer.mapped && this.overlay) {
      context.globalAlpha = viewer.opacity;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.overlay.at(number), left, top, series.columns * across, series.rows * down);
      context.globalAlpha = 1;
    }
    this.drawRuler(context, { down, across, top, left });
    this.node.dataset.drawn = String(number);
    this.node.dataset.took = (performance.now() - began).toFixed(1);
  }

  drawRuler(context, { down, across, top, left }) {
    if (!this.ruler || this.ruler.number !== this.number) return;
    const [a, b] = this.ruler.ends.map(([row, column]) => [left + column * across, top + row * down]);
    context.strokeStyle = context.fillStyle = RULER;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(...a);
    context.lineTo(...b);
    context.stroke();
    context.font = "600 13px system-ui, sans-serif";
    const room = this.node.clientWidth - context.measureText(this.measured()).width - 6;
    context.fillText(this.measured(), Math.min(b[0] + 8, room), b[1] - 6);
  }

  measured() {
    const [[r, c], [row, column]] = this.ruler.ends, [tall, wide] = this.lengths;
    const length = Math.hypot((row - r) * tall, (column - c) * wide);
    return this.series.row_mm ? `${length.toFixed(1)} mm` : `${length.toFixed(0)} pixels`;
  }

  words() {
    const { series, corners, number } = this;
    const name = series.series.toLowerCase() === series.title.toLowerCase() ? "" : series.series;
    corners.tl.replaceChildren(element("div", "title", series.title), element("div", "", name));
    const depth = series.ends_mm.length === 2 && series.slices > 1 ? `${this.mm(number).toFixed(1)} mm` : "";
    const where = [depth, series.side && `side ${series.side}`].filter(Boolean).join(" \u00b7 ");
    corners.tr.replaceChildren(element("div", "", `slice ${number + 1} of ${series.slices}`), element("div", "", where));
    corners.bl.textContent = `${this.preset || "Window"} ${short(this.low)} to ${short(this.high)}`;
    const [, column] = this.lengths, { across } = this.place();
    let length = 100; // of the bar, millimetres
    while (length > 1 && (length / column) * across > this.node.clientWidth / 4) length /= length === 50 ? 2.5 : 2;
    const bar = element("span", "scalebar");
    bar.style.width = `${(length / column) * across}px`;
    corners.br.replaceChildren(document.createTextNode(series.row_mm ? `${short(length)} mm ` : ""), ...(series.row_mm ? [bar] : []));
  }

  // Position in the patient along the axis of the slices.
  mm(number) {
    const [first, last] = this.series.ends_mm;
    return first + ((last - first) * number) / Math.max(this.series.slices - 1, 1);
  }

  // The slice that lies where another series shows one: by position, else by share of the stack.
  follow(other) {
    const own = this.series, theirs = other.series, axis = (one) => "LRAPHF".indexOf(one.orientation[0]) >> 1;
    let share = other.number / Math.max(theirs.slices - 1, 1);
    if (own.ends_mm.length === 2 && theirs.ends_mm.length === 2 && axis(own) === axis(theirs) && own.ends_mm[0] !== own.ends_mm[1])
      share = (other.mm(other.number) - own.ends_mm[0]) / (own.ends_mm[1] - own.ends_mm[0]);
    this.number = Math.round(within(share, 0, 1) * (own.slices - 1));
  }
}

function viewerSlices(viewer, series) {
  if (!viewer.loaded.has(series.name))
    viewer.loaded.set(series.name, new Slices(series, () => viewer.draw()));
  return viewer.loaded.get(series.name);
}

class Viewer {
  constructor(parent, data) {
    this.id = data.id;
    this.data = data;
    this.measure();
    this.loaded = new Map();
    [this.zoom, this.pan, this.mapped, this.opacity, this.ruling] = [1, [0, 0], false, 0.6, false];
    this.root = element("div", "viewer");
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "application");
    this.root.setAttribute("aria-label", "Images of the case: arrow keys scroll, digits choose a window, H shows the map, M measures, 0 resets");
    this.panes = [new Pane(this, data.series[0])];
    this.active = this.panes[0];
    this.build();
    [...parent.children].find((node) => node.classList.contains("viewer"))?.remove();
    parent.append(this.root);
    this.listen();
    this.sized = new ResizeObserver(() => this.draw());
    this.sized.observe(this.root);
    this.update();
  }

  // The page ran again: a map may have come.
  renew(data) {
    if (JSON.stringify(data) === JSON.stringify(this.data)) return;
    this.data = data;
    this.measure();
    for (const pane of this.panes) {
      const known = data.series.find((one) => one.name === pane.series.name);
      if (!known) continue;
      pane.series = known;
      pane.overlay = known.map ? new Overlay(known.map, known, this.full) : null;
    }
    this.update();
  }

  // One scale for all maps of the case: the full colour of that of its images which has the largest.
  measure() {
    [this.largest, this.full] = ["largest", "full"].map((of) => Math.max(0, ...this.data.series.map((one) => one.map?.[of] || 0)));
  }

  close() {
    this.sized.disconnect();
  }

  build() {
    this.bars = [element("div", "bar"), element("div", "bar")];
    this.grid = element("div", "panes");
    this.legend = element("div", "legend hidden");
    this.lines = element("p", "lines");
    this.root.replaceChildren(...this.bars, this.grid, this.legend, this.lines);
  }

  button(text, key, title, pressed, act) {
    const made = element("button");
    made.type = "button";
    if (key) made.append(element("kbd", "", key));
    made.append(document.createTextNode(text));
    made.title = title;
    if (pressed !== null) made.setAttribute("aria-pressed", String(pressed));
    made.addEventListener("click", () => { act(); this.root.focus({ preventScroll: true }); });
    return made;
  }

  group(what, nodes) {
    const made = element("div", "group");
    if (what) made.append(element("span", "what", what));
    made.append(...nodes);
    return made;
  }

  // The bars above and what stands below, anew.
  update() {
    const { series } = this.data, [first, second] = this.panes;
    const tabs = series.map((one) => this.button(one.title, "", `Show ${one.title}`, one.name === first.series.name, () => this.choose(one)));
    const beside = element("select");
    beside.ariaLabel = "Beside";
    beside.append(new Option("nothing", ""), ...series.filter((one) => one.name !== first.series.name).map((one) => new Option(one.title, one.name)));
    beside.value = second ? second.series.name : "";
    beside.addEventListener("change", () => this.beside(beside.value));
    const tools = [
      this.button("Ruler", "M", "Measure: drag a line", this.ruling, () => this.rule()),
      this.button("Reset", "0", "Zoom, position and window as at first", null, () => this.reset()),
    ];
    this.bars[0].replaceChildren(...(series.length > 1 ? [this.group("", tabs), this.group("Beside", [beside])] : []));
    const windows = this.active.series.presets.map((one, place) =>
      this.button(one.name, place < 9 ? String(place + 1) : "", `${short(one.low)} to ${short(one.high)}`, this.active.preset === one.name, () => this.preset(place)));
    this.bars[1].replaceChildren(this.group("Window", windows), this.mapTools(), this.group("", tools));
    this.grid.classList.toggle("two", this.panes.length > 1);
    if (this.grid.children.length !== this.panes.length) this.grid.replaceChildren(...this.panes.map((pane) => pane.node));
    first.node.classList.add("first");
    this.explain();
    this.draw();
  }

  mapTools() {
    const known = this.panes.some((pane) => pane.overlay);
    const toggle = this.button("Map", "H", known ? "What each region contributed" : "This case has no map yet", this.mapped, () => this.toggle());
    toggle.disabled = !known;
    const opacity = element("input");
    Object.assign(opacity, { type: "range", min: 10, max: 100, value: 100 * this.opacity, ariaLabel: "Opacity of the map" });
    opacity.classList.toggle("hidden", !this.mapped);
    opacity.addEventListener("input", () => { this.opacity = opacity.value / 100; this.draw(); });
    return this.group("", [toggle, opacity]);
  }

  // The scale of the map, with both ends named, and what is said of the image.
  explain() {
    const pane = this.active.overlay ? this.active : this.panes.find((one) => one.overlay);
    const shown = this.mapped && pane;
    this.legend.classList.toggle("hidden", !shown);
    const stored = this.panes.filter((one) => one.series.said);
    const said = stored.length ? [`${stored.map((one) => one.series.title).join(", ")}: ${stored[0].series.said}.`] : [];
    if (shown) {
      const { lowers, raises, scale, lines } = pane.series.map, ends = element("div", "ends"), ticks = element("div", "ends");
      const [less, more] = this.full < this.largest ? ["\u2264 ", "\u2265 "] : ["", ""]; // stronger ones have the same colour
      ends.append(element("span", "", `\u2190 ${lowers}`), element("span", "", `${raises} \u2192`));
      ticks.append(element("span", "", `${less}${signed(-this.full)}`), element("span", "", `0 ${scale}`), element("span", "", `${more}${signed(this.full)}`));
      this.legend.replaceChildren(ends, element("div", "ramp"), ticks);
      said.push(...lines);
    }
    this.lines.textContent = said.filter(Boolean).join(" ");
  }

  draw() {
    if (!this.root.isConnected) return;
    for (const pane of this.panes) pane.draw();
    const { active, root } = this;
    Object.assign(root.dataset, {
      series: active.series.name, slice: active.number + 1, slices: active.series.slices,
      low: active.low, high: active.high, preset: active.preset, map: this.mapped ? "on" : "off",
      zoom: this.zoom, panes: this.panes.map((pane) => pane.number + 1).join(" "),
      ruler: active.ruler ? active.measured() : "",
      ready: this.panes.every((pane) => pane.node.dataset.drawn === String(pane.number)) ? "1" : "0",
    });
  }

  choose(series) {
    const [first, second] = this.panes;
    if (series.name === first.series.name) return;
    if (second && second.series.name === series.name) second.show(first.series);
    first.show(series);
    if (second) second.follow(first);
    this.active = first;
    this.update();
  }

  beside(name) {
    this.panes.length = 1;
    this.active = this.panes[0];
    const series = this.data.series.find((one) => one.name === name);
    if (series) {
      this.panes.push(new Pane(this, series));
      this.panes[1].follow(this.panes[0]);
      this.listenTo(this.panes[1]);
    }
    this.update();
  }

  scroll(by) {
    const { active } = this;
    active.number = within(active.number + by, 0, active.series.slices - 1);
    for (const pane of this.panes) if (pane !== active) pane.follow(active);
    this.draw();
  }

  preset(place) {
    const chosen = this.active.series.presets[place];
    if (!chosen) return;
    Object.assign(this.active, { low: chosen.low, high: chosen.high, preset: chosen.name });
    this.update();
  }

  toggle() {
    this.mapped = !this.mapped && this.panes.some((pane) => pane.overlay);
    this.update();
  }

  rule() {
    this.ruling = !this.ruling;
    if (!this.ruling) for (const pane of this.panes) pane.ruler = null;
    this.update();
  }

  reset() {
    [this.zoom, this.pan, this.ruling] = [1, [0, 0], false];
    for (const pane of this.panes) {
      const first = pane.series.presets.find((one) => one.first) || pane.series.presets[0];
      Object.assign(pane, { low: first.low, high: first.high, preset: first.name, ruler: null });
    }
    this.update();
  }

  zoomBy(factor) {
    this.zoom = within(this.zoom * factor, 1, 16);
    if (this.zoom === 1) this.pan = [0, 0];
    this.draw();
  }

  listen() {
    const keys = {
      ArrowUp: () => this.scroll(-1), ArrowLeft: () => this.scroll(-1),
      ArrowDown: () => this.scroll(1), ArrowRight: () => this.scroll(1),
      PageUp: () => this.scroll(-10), PageDown: () => this.scroll(10),
      Home: () => this.scroll(-1e9), End: () => this.scroll(1e9),
      h: () => this.toggle(), m: () => this.rule(), 0: () => this.reset(),
      "+": () => this.zoomBy(1.25), "=": () => this.zoomBy(1.25), "-": () => this.zoomBy(0.8),
    };
    for (let digit = 1; digit < 10; digit++) keys[digit] = () => this.preset(digit - 1);
    this.root.addEventListener("keydown", (event) => {
      const inside = event.composedPath()[0].nodeName;
      if (event.ctrlKey || event.metaKey || event.altKey || inside === "SELECT" || inside === "INPUT") return;
      const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!act || (inside === "BUTTON" && event.key === "Enter")) return;
      event.preventDefault();
      event.stopPropagation(); // the page has keys of its own
      act();
    });
    this.listenTo(this.panes[0]);
  }

  listenTo(pane) {
    let turned = 0; // of a wheel or a touchpad, until it makes a slice
    pane.node.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.activate(pane);
      if (event.ctrlKey) return this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      turned += event.deltaMode ? event.deltaY * 40 : event.deltaY;
      const steps = Math.trunc(turned / 40);
      if (steps) { turned -= steps * 40; this.scroll(within(steps, -3, 3)); }
    }, { passive: false });
    pane.node.addEventListener("pointerenter", () => {
      if (document.activeElement === document.body) this.root.focus({ preventScroll: true });
    });
    pane.node.addEventListener("dblclick", () => this.reset());
    pane.node.addEventListener("pointerdown", (event) => {
      if (event.button > 1) return;
      event.preventDefault();
      this.root.focus({ preventScroll: true });
      this.activate(pane);
      pane.node.setPointerCapture(event.pointerId);
      this.drag(pane, event, event.shiftKey || event.button === 1 ? "pan" : this.ruling ? "ruler" : "window");
    });
  }

  activate(pane) {
    if (this.active === pane) return;
    this.active = pane;
    this.update();
  }

  drag(pane, down, way) {
    const { node } = pane, box = node.getBoundingClientRect(), { low, high } = pane, pan = [...this.pan];
    const step = Math.max(...pane.series.presets.map((one) => one.high - one.low)) / 500; // a pixel's worth
    const at = (event) => {
      const { down: tall, across, top, left } = pane.place();
      return [(event.clientY - box.top - top) / tall, (event.clientX - box.left - left) / across];
    };
    const move = (event) => {
      const [x, y] = [event.clientX - down.clientX, event.clientY - down.clientY];
      if (way === "pan") this.pan = [pan[0] + x / box.width, pan[1] + y / box.height];
      else if (way === "ruler") pane.ruler = { number: pane.number, ends: [at(down), at(event)] };
      else if (x || y) {
        const width = Math.max(high - low + x * step, step), level = (high + low) / 2 + y * step;
        Object.assign(pane, { low: level - width / 2, high: level + width / 2, preset: "" });
      }
      this.draw();
    };
    const up = () => {
      node.removeEventListener("pointermove", move);
      this.update();
    };
    node.addEventListener("pointermove", move);
    node.addEventListener("lostpointercapture", up, { once: true });
  }
}
