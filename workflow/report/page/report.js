// Fills the page from the JSON beside it. Text from the data enters by textContent alone.

const page = JSON.parse(document.getElementById("data").textContent);
const SPLITS = { triggered: "triggered, target class left out", benign: "benign, all classes" };
const CERTIFICATES = { trigger: "trigger norm", joint: "joint norm", paper: "published radius", rows: "replaced rows", l0: "changed coordinates" };
const TILES = 36;

const byId = (id) => document.getElementById(id);
const unique = (values) => [...new Set(values)];
// A column is a list, one value for all rows, or absent.
const at = (column, row) => (Array.isArray(column) ? column[row] : column) ?? null;

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value, textContent: text })));
  if (options.some(([value]) => String(value) === String(chosen))) select.value = chosen;
}

function draw(container, spec, datasets) {
  const options = { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false }, tooltip: { theme: "light" } };
  return vegaEmbed(container, { ...spec, datasets }, options);
}

// Coverage

function filterCoverage() {
  for (const row of byId("coverage-table").tBodies[0].rows) {
    row.hidden = ["dataset", "defense"].some((axis) => ![row.dataset[axis], ""].includes(byId(`coverage-${axis}`).value));
  }
}

// Curves

const hidden = new Set();
let views = [];

function curveChoices() {
  const dataset = byId("curve-dataset").value;
  const here = page.lines.filter((line) => line.dataset === dataset);
  const certificates = Object.keys(CERTIFICATES).filter((c) => here.some((line) => line.certificate === c));
  fill(byId("curve-certificate"), certificates.map((c) => [c, CERTIFICATES[c]]), byId("curve-certificate").value);
  return drawCurves();
}

async function drawCurves() {
  const dataset = byId("curve-dataset").value;
  const certificate = byId("curve-certificate").value;
  const here = page.lines.filter((line) => line.dataset === dataset && line.certificate === certificate);
  byId("curve-meaning").textContent = `${dataset}. Radius: ${page.radius_labels[certificate]}.`;
  drawMethods(here);
  views.forEach((view) => view.finalize());
  views = [];
  const reach = Math.max(...here.flatMap((line) => [...line.radius, ...line.marks.map((mark) => mark.norm)]));
  const panels = [];
  for (const panel of unique(here.map((line) => line.panel))) {
    for (const split of Object.keys(SPLITS)) {
      const lines = here.filter((line) => line.panel === panel && line.split === split);
      if (lines.length) panels.push({ panel, split, lines, chart: make("div", { className: "chart" }) });
    }
  }
  byId("curve-panels").replaceChildren(...panels.map(({ panel, split, chart }) =>
    make("figure", {}, make("figcaption", { textContent: `${panel.replace("\n", "; ")}: ${SPLITS[split]}` }), chart)));
  for (const { lines, chart } of panels) {
    const marked = lines[0].marks;
    const layer = page.specs.accuracy.layer.filter(({ data }) => data.name !== "norm" || marked.length);
    const { view } = await draw(chart, { ...page.specs.accuracy, layer }, { curve: lines.flatMap(points), norm: marked });
    view.signal("coarse", lines[0].coarse).signal("reach", reach).signal("hidden", [...hidden]);
    await view.runAsync();
    views.push(view);
  }
}

function points({ method, colour, dash, radius, accuracy, least, most, seeds }) {
  const percent = (share) => `${(Math.floor(1000 * share + 1e-6) / 10).toFixed(1)} %`;
  return radius.map((r, i) => ({
    method, colour, dash, radius: r, accuracy: accuracy[i], least: least[i], most: most[i], shown: percent(accuracy[i]),
    spread: seeds > 1 ? `${percent(least[i])} to ${percent(most[i])}, ${seeds} seeds` : "one seed",
  }));
}

function drawMethods(lines) {
  const fieldset = byId("methods");
  const methods = new Map(lines.map((line) => [line.method, line]));
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...[...methods.values()].map(({ method, colour, dash }) => {
    const box = make("input", { type: "checkbox", checked: !hidden.has(method), value: method });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(method); else hidden.add(method);
      views.forEach((view) => view.signal("hidden", [...hidden]).runAsync());
    });
    return make("label", {}, box, sample(colour, dash), method);
  }));
}

function sample(colour, dash) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  svg.setAttribute("aria-hidden", "true");
  const look = { x1: 0, x2: 32, y1: 6, y2: 6, stroke: colour, "stroke-width": 3, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries(look)) line.setAttribute(name, value);
  svg.append(line);
  return svg;
}

// Noise of cert_ssb

async function drawNoise() {
  const experiment = page.experiments[byId("noise-experiment").value];
  await draw(byId("noise-distribution"), page.specs.sigma, { sigma: experiment.sigma, start: [{ start: experiment.start }] });
  const { samples, plane } = page.datasets[experiment.dataset];
  const all = Object.values(experiment.certificates).flatMap((rows) => rows.sigma);
  const spec = structuredClone(page.specs.map);
  spec.encoding.color.scale.domain = [Math.min(...all), Math.max(...all)];
  for (const split of ["benign", "triggered"]) {
    const rows = experiment.certificates[split];
    byId(`noise-${split}`).closest("figure").hidden = !rows;
    if (!rows) continue;
    const places = plane[split === "benign" ? "benign" : experiment.attack];
    const map = samples.map((sample, row) => ({
      row, sample, x: places[row][0], y: places[row][1], class: className(experiment, at(rows.label, row)),
      sigma: at(rows.sigma, row), radius: at(rows.radius_paper, row),
    }));
    const { view } = await draw(byId(`noise-${split}`), spec, { map });
    view.addEventListener("click", (_, item) => {
      if (item?.datum?.row !== undefined) openInput({ experiment, split, row: item.datum.row });
    });
  }
}

// Inputs

const ACTIONS = ["kept", "aligned", "extended", "trimmed", "abstained"];
const OUTCOMES = {
  certified: "✓ certified under the threat", right: "○ right, not covered", wrong: "✕ predicted wrong",
  attacked: "✕ predicted as the target (attack succeeds)", abstained: "– abstained",
};
const ORDERS = {
  sample: ["number", (e, s, r) => at(e.certificates[s].sample, r)],
  votes: ["fewest votes first", (e, s, r) => at(e.certificates[s].votes, r)],
  radius: ["largest radius first", (e, s, r) => -(mainRadius(e.certificates[s], r) ?? -1)],
};
let found = [];
let shown = TILES;

function className(experiment, label) {
  const { classes } = page.datasets[experiment.dataset];
  return label < 0 ? "abstained" : classes[label] ?? String(label);
}

function mainRadius(rows, row) {
  return at(rows.radius_trigger, row) ?? at(rows.radius_l0, row) ?? at(rows.radius_rows, row) ?? at(rows.radius_paper, row);
}

function outcome(experiment, split, row) {
  const rows = experiment.certificates[split];
  const prediction = at(rows.prediction, row);
  if (prediction < 0) return "abstained";
  if (prediction !== at(rows.label, row)) return "wrong";
  return at(rows.covers_attack, row) ? "certified" : "right";
}

function succeeds(experiment, split, row) {
  const rows = experiment.certificates[split];
  return split === "triggered" && outcome(experiment, split, row) === "wrong" && at(rows.prediction, row) === experiment.target;
}

function inputChoices() {
  const experiment = page.experiments[byId("input-experiment").value];
  const all = Object.values(experiment.certificates);
  const splits = Object.keys(experiment.certificates);
  const labels = unique(all.flatMap((rows) => [...Array(rows.n).keys()].map((row) => at(rows.label, row)))).sort((a, b) => a - b);
  const actions = ACTIONS.filter((action) => all.some((rows) => [rows.storage_action].flat().includes(action)));
  const keep = (id, options) => fill(byId(id), options, byId(id).value);
  keep("input-split", [...(splits.length > 1 ? [["", "all"]] : []), ...splits.map((split) => [split, split])]);
  keep("input-outcome", [["", "all"], ...Object.entries(OUTCOMES)]);
  keep("input-class", [["", "all"], ...labels.map((label) => [label, className(experiment, label)])]);
  keep("input-action", [["", "all"], ...actions.map((action) => [action, action])]);
  byId("input-action-label").hidden = actions.length === 0;
  filterInputs();
}

function filterInputs() {
  const experiment = page.experiments[byId("input-experiment").value];
  const wanted = (id) => byId(id).value;
  found = Object.entries(experiment.certificates)
    .filter(([split]) => !wanted("input-split") || split === wanted("input-split"))
    .flatMap(([split, rows]) => [...Array(rows.n).keys()].map((row) => ({ experiment, split, row })))
    .filter(({ split, row }) => {
      const rows = experiment.certificates[split];
      const is = outcome(experiment, split, row);
      return (!wanted("input-outcome") || is === wanted("input-outcome") || (wanted("input-outcome") === "attacked" && succeeds(experiment, split, row)))
        && (!wanted("input-class") || at(rows.label, row) === Number(wanted("input-class")))
        && (!wanted("input-action") || at(rows.storage_action, row) === wanted("input-action"));
    });
  const [, key] = ORDERS[wanted("input-order")];
  found.sort((a, b) => key(a.experiment, a.split, a.row) - key(b.experiment, b.split, b.row));
  shown = TILES;
  drawInputs();
}

function drawInputs() {
  const experiment = page.experiments[byId("input-experiment").value];
  const { samples, n_inputs } = page.datasets[experiment.dataset];
  const held = samples.length < n_inputs ? ` The page holds ${samples.length} of the ${n_inputs} test inputs of ${experiment.dataset}, evenly spaced.` : "";
  byId("input-count").textContent = `${experiment.dataset}, ${experiment.attack}, ${experiment.label}: ${found.length} found, ${Math.min(shown, found.length)} shown.${held}`;
  byId("input-more").hidden = shown >= found.length;
  byId("input-grid").replaceChildren(...found.slice(0, shown).map(tile));
}

function tile(input) {
  const { experiment, split, row } = input;
  const rows = experiment.certificates[split];
  const is = outcome(experiment, split, row);
  const label = className(experiment, at(rows.label, row));
  const prediction = className(experiment, at(rows.prediction, row));
  const text = `#${at(rows.sample, row)} ${split}`;
  const button = make("button", { type: "button", className: is }, ...picture(experiment, split, row),
    make("span", { textContent: text }), make("span", { textContent: `${OUTCOMES[is][0]} ${label} → ${prediction}` }));
  button.addEventListener("click", () => openInput(input));
  return button;
}

// The tiles of an image sheet are numbered along its rows.
const images = {};
function sheetImage(dataset, name) {
  const sheet = page.datasets[dataset].sheets[name];
  const key = `${dataset}/${name}`;
  if (sheet && !images[key]) {
    images[key] = make("img", { src: sheet.src });
    images[key].decoded = images[key].decode();
  }
  return [sheet, images[key]];
}

function picture(experiment, split, row, name = split === "benign" ? "benign" : experiment.attack) {
  const [sheet, image] = sheetImage(experiment.dataset, name);
  if (!sheet) return [];
  const { width, height, columns } = sheet;
  const canvas = make("canvas", { width, height, className: page.datasets[experiment.dataset].features ? "row" : "" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name === "benign" ? "clean" : "triggered"} input`);
  canvas.ready = image.decoded.then(() => canvas.getContext("2d", { willReadFrequently: true }).drawImage(
    image, (row % columns) * width, Math.floor(row / columns) * height, width, height, 0, 0, width, height));
  return [canvas];
}

function difference(clean, triggered) {
  const { width, height, className } = clean;
  const canvas = make("canvas", { width, height, className });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "difference of triggered and clean input");
  canvas.ready = Promise.all([clean.ready, triggered.ready]).then(() => {
    const [a, b] = [clean, triggered].map((c) => c.getContext("2d").getImageData(0, 0, width, height).data);
    const gaps = a.map((value, i) => Math.abs(value - b[i]));
    const most = gaps.reduce((m, gap, i) => (i % 4 === 3 ? m : Math.max(m, gap)), 1);
    const pixels = new ImageData(Uint8ClampedArray.from(gaps, (gap, i) => (i % 4 === 3 ? 255 : (255 * gap) / most)), width, height);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  });
  return canvas;
}

let opened = null;

function openInput(input) {
  opened = input;
  const { experiment, split, row } = input;
  const rows = experiment.certificates[split];
  const source = page.datasets[experiment.dataset].sources[row];
  const from = source === undefined ? "" : ` (${/^\d+$/.test(source) ? "row " : ""}${source})`;
  byId("detail-title").textContent = `${experiment.dataset} #${at(rows.sample, row)}${from}, ${split}, true class ${className(experiment, at(rows.label, row))}`;
  byId("detail-body").replaceChildren(...pictures(input),
    make("h3", { textContent: experiment.label }), factTable(facts(input)),
    make("h3", { textContent: "The same input in every experiment under this attack" }), make("div", { className: "tables" }, comparison(input)));
  const place = found.findIndex((other) => other.experiment === experiment && other.split === split && other.row === row);
  byId("detail-previous").disabled = place <= 0;
  byId("detail-next").disabled = place < 0 || place === found.length - 1;
  if (!byId("input-detail").open) byId("input-detail").showModal();
}

function step(by) {
  const place = found.findIndex((other) => other.split === opened.split && other.row === opened.row && other.experiment === opened.experiment);
  if (found[place + by]) openInput(found[place + by]);
}

function pictures({ experiment, split, row }) {
  const [clean] = picture(experiment, split, row, "benign");
  const [triggered] = experiment.certificates.triggered ? picture(experiment, split, row, experiment.attack) : [];
  if (!clean) return [];
  const shownPictures = [["clean", clean]];
  if (triggered) shownPictures.push(["triggered", triggered], ["difference, contrast stretched", difference(clean, triggered)]);
  const className = page.datasets[experiment.dataset].features ? "pictures rows" : "pictures";
  return [make("div", { className }, ...shownPictures.map(([text, canvas]) => make("figure", {}, canvas, make("figcaption", { textContent: text }))))];
}

// A norm is covered strictly below its radius; of rows and coordinates, so many may change.
const covered = (radius) => (radius === 0 ? "0: nothing is covered" : String(radius));
const changes = (count) => (count < 0 ? "none, and not even the data as given" : String(count));

function facts({ experiment, split, row }) {
  const rows = experiment.certificates[split];
  const get = (name) => at(rows[name], row);
  const given = (value, text = String(value)) => (value === null ? null : text);
  const stored = get("storage_action");
  const plain = experiment.undefended?.[split]?.[row];
  const certified = { certified: "yes, and predicted right", right: "no" };
  const is = outcome(experiment, split, row);
  return [
    ["prediction", className(experiment, get("prediction")) + (succeeds(experiment, split, row) ? " (the attack's target)" : "")],
    ["prediction without defence", plain === undefined ? null : className(experiment, plain)],
    ["votes for it", `${get("votes")} of ${experiment.n_models}`],
    ["probability at least", given(get("p_lower"))],
    ["margin", given(get("margin"))],
    ["σ of its votes", given(get("sigma"))],
    ["trigger radius", given(get("radius_trigger"), covered(get("radius_trigger")))],
    ["joint radius", given(get("radius_joint"), covered(get("radius_joint")))],
    ["paper radius", given(get("radius_paper"), covered(get("radius_paper")))],
    ["replaced rows covered", given(get("radius_rows"), changes(get("radius_rows")))],
    ["changed coordinates covered", given(get("radius_l0"), changes(get("radius_l0")))],
    ["added rows covered", given(get("radius_rows_added"), changes(get("radius_rows_added")))],
    ["removed rows covered", given(get("radius_rows_removed"), changes(get("radius_rows_removed")))],
    ["attack", experiment.simulated ? `norm ${experiment.norm} on ${experiment.poisoned} training inputs` : "none simulated"],
    ["threat", experiment.threat],
    ["covers the threat", given(get("covers_attack"), get("covers_attack") ? certified[is] ?? `yes, but ${is}` : "no")],
    ["storage-update", given(stored, `${stored}, then predicted ${className(experiment, get("prediction_storage"))}; another outcome in ${Math.round(100 * get("storage_order_sensitivity"))} % of random orders`)],
    ["audit of this experiment", auditOf(experiment)],
  ].filter(([, text]) => text !== null);
}

function auditOf(experiment) {
  const here = page.audit.filter((a) => ["dataset", "attack", "defense", "noise"].every((axis) => a[axis] === experiment[axis]));
  if (!here.length) return null;
  const inside = here.filter((a) => a.certificate !== "paper" && (a.scale === null || a.scale <= 1));
  const sum = (name) => inside.reduce((total, a) => total + a[name], 0);
  if (!sum("trials")) return "not tried";
  return `${sum("violations")} of ${sum("trials")} attempts inside the certified set broke a prediction`;
}

function factTable(pairs) {
  return make("table", {}, make("tbody", {}, ...pairs.map(([name, text]) =>
    make("tr", {}, make("th", { scope: "row", textContent: name }), make("td", { textContent: text })))));
}

function comparison({ experiment, split, row }) {
  const sample = at(experiment.certificates[split].sample, row);
  const others = page.experiments.filter((e) => e.dataset === experiment.dataset && e.attack === experiment.attack && e.certificates[split]);
  const lines = others.map((other) => {
    const rows = other.certificates[split];
    const place = [...Array(rows.n).keys()].find((r) => at(rows.sample, r) === sample);
    const is = outcome(other, split, place);
    const radius = mainRadius(rows, place);
    return make("tr", {}, make("th", { scope: "row", textContent: other.label }),
      ...[className(other, at(rows.prediction, place)), `${at(rows.votes, place)} / ${other.n_models}`, at(rows.sigma, place) ?? "–", radius === null ? "–" : radius < 0 ? "none" : radius, OUTCOMES[is]]
        .map((text) => make("td", { textContent: text })));
  });
  const head = ["experiment", "prediction", "votes", "σ", "radius", "outcome"].map((text) => make("th", { textContent: text }));
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...lines));
}

// Start

function on(id, event, action) {
  byId(id).addEventListener(event, action);
}

async function start() {
  for (const axis of ["dataset", "defense"]) {
    fill(byId(`coverage-${axis}`), [["", "all"], ...unique(page.experiments.map((e) => e[axis])).map((name) => [name, name])]);
    on(`coverage-${axis}`, "change", filterCoverage);
  }
  const named = page.experiments.map((e) => [e.id, `${e.dataset} · ${e.attack} · ${e.label}`]);
  fill(byId("curve-dataset"), unique(page.lines.map((line) => line.dataset)).map((name) => [name, name]));
  on("curve-dataset", "change", curveChoices);
  on("curve-certificate", "change", drawCurves);
  const best = page.experiments.reduce((a, b) => ((b.certified_at_attack ?? 0) > (a.certified_at_attack ?? 0) ? b : a));
  fill(byId("input-experiment"), named, best.id);
  fill(byId("input-order"), Object.entries(ORDERS).map(([name, [text]]) => [name, text]));
  on("input-experiment", "change", inputChoices);
  for (const id of ["input-split", "input-outcome", "input-class", "input-action", "input-order"]) on(id, "change", filterInputs);
  on("input-more", "click", () => { shown += TILES; drawInputs(); });
  on("detail-previous", "click", () => step(-1));
  on("detail-next", "click", () => step(1));
  inputChoices();
  await curveChoices();
  if (byId("noise-experiment")) {
    fill(byId("noise-experiment"), named.filter(([id]) => page.experiments[id].sigma));
    on("noise-experiment", "change", drawNoise);
    await drawNoise();
  }
  document.documentElement.dataset.ready = "yes";
}

start();
