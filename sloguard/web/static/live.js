// A run as it happens: phases, values, what was announced. Everything else is on the page already.

import { localise, written } from "./site.js";

const page = document.getElementById("live");
const SIGNS = { met: "✓", deviated: "✗", inconclusive: "?", "not-judged": "–" };
const PHASES = {
  before: "Before: the steady state is watched",
  during: "During: the fault begins",
  after: "After: all is undone; the recovery is watched",
};
const FAULTS = {
  injected: ["Fault injected", "strong"],
  undone: ["Fault undone", "met"],
  "nothing-to-undo": ["Nothing to undo", ""],
  left: ["Fault could not be undone", "bad"],
};
const SECTIONS = { method: "Action", rollbacks: "Rollback", hypothesis: "Probe" };
const MOST_LINES = 80;

/** What an event says, as [text, detail, tone]; nothing for those that are shown elsewhere. */
const TELL = {
  PhaseStarted: (e) => [PHASES[e.phase] ?? e.phase, "", "strong"],
  Waiting: (e) => [`Waits for ${e.reason}`],
  FaultPlanned: (e) => [`Planned: ${e.summary || e.fault}`, (e.targets ?? []).join(", ")],
  ActivityStarted: (e) => [`${SECTIONS[e.section] ?? e.section}: ${e.name} begins`],
  ActivityEnded: (e) => {
    const failed = e.status !== "succeeded" || e.tolerance_met === false;
    return [`${SECTIONS[e.section] ?? e.section}: ${e.name} ${e.status}`, e.error ?? "", failed ? "bad" : ""];
  },
  FaultChanged: ({ fault }) => {
    const [words, tone] = FAULTS[fault.status] ?? [`Fault ${fault.status}`, ""];
    return [`${words}: ${fault.fault} on ${fault.target}`, fault.detail, tone];
  },
  GuardTripped: (e) => [`Guard rail ${e.guard} ${e.blind ? "cannot be read" : "stops the run"}`, e.reason, "bad"],
  NoteTaken: (e) => [`Noted: ${e.text}`, e.by, "noted"],
  StepDecided: ({ step, answer }) => [`Step ${step.number}: ${answer.choice}, ${step.name || "the undo"}`, [answer.text, answer.by].filter(Boolean).join("; ")],
  Interrupted: (e) => [`Stopped: ${e.reason}`, "", "bad"],
  Note: (e) => [e.message, "", e.level === "error" ? "bad" : ""],
  Judged: (e) => [`Judged: ${e.outcome}`, e.reason ?? "", "strong"],
};

function element(name, { text = "", cls = "", attributes = {} } = {}, ...children) {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function clock(iso) {
  const moment = new Date(iso);
  const utc = `${moment.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  return element("time", { text: written(moment, "clock"), attributes: { datetime: iso, title: utc } });
}

function tell(event, [text, detail, tone]) {
  const told = element("div", { cls: `told ${tone ?? ""}` }, element("span", { text }));
  if (detail) told.append(element("small", { text: detail }));
  const feed = document.getElementById("feed");
  feed.prepend(element("li", {}, clock(event.at), element("span", { cls: "offset" }), told));
  while (feed.children.length > MOST_LINES) feed.lastElementChild.remove();
  document.getElementById("status").textContent = text;
}

function enterPhase(event) {
  for (const item of page.querySelectorAll("[data-phase]")) {
    const until = item.querySelector("[data-part=until]");
    if (item.dataset.phase !== event.phase) {
      item.removeAttribute("aria-current");
      until.textContent = "";
      delete until.dataset.until;
      continue;
    }
    item.setAttribute("aria-current", "step");
    item.querySelector("[data-part=since]").replaceChildren("since ", clock(event.at));
    if (event.until) until.dataset.until = event.until;
  }
  countDown();
}

function countDown() {
  const until = page.querySelector("[aria-current=step] [data-until]");
  if (!until) return;
  const left = Math.round(Number(until.dataset.until) - Date.now() / 1000);
  until.textContent = left > 0 ? `${left} s left, at least` : "may end any moment";
}

const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "us"]];

function number(value) {
  return Number(value.toPrecision(3)).toString();
}

function shown({ value, unit }) {
  if (value === null || value === undefined) return "no value";
  if (typeof value !== "number") return String(value);
  if (unit === "%") return `${number(value * 100)}%`;
  if (["us", "ms", "s", "m", "h", "d"].includes(unit)) {
    const [size, name] = UNITS.find(([least]) => Math.abs(value) >= least) ?? (value ? UNITS[2] : UNITS[0]);
    return `${number(value / size)}${name}`;
  }
  return number(value);
}

function observe(event) {
  const rows = event.readings.map((one) => {
    const chip = element("span", { cls: `chip ${one.verdict}` },
      element("span", { text: SIGNS[one.verdict] ?? "·", attributes: { "aria-hidden": "true" } }), ` ${one.verdict}`);
    return element("tr", {},
      element("th", { text: one.slo, attributes: { scope: "row" } }),
      element("td", {}, chip),
      element("td", { text: shown(one) }),
      element("td", {}, element("code", { text: one.objective })),
      element("td", { cls: "wide" }, element("code", { text: one.labels })));
  });
  const table = document.getElementById("readings");
  table.tBodies[0].replaceChildren(...rows);
  table.hidden = rows.length === 0;
  document.getElementById("no-readings").hidden = rows.length > 0;
}

const source = new EventSource(page.dataset.events);
const reload = () => {
  source.close();
  window.location.reload();
};
if (page.dataset.reload) {
  // What waits has another page as soon as it runs.
  source.addEventListener("RunStarted", reload);
} else {
  source.addEventListener("PhaseStarted", (message) => enterPhase(JSON.parse(message.data)));
  source.addEventListener("Observed", (message) => observe(JSON.parse(message.data)));
  for (const [kind, words] of Object.entries(TELL)) {
    source.addEventListener(kind, (message) => {
      const event = JSON.parse(message.data);
      tell(event, words(event));
    });
  }
  // The page with the plan and its buttons is another one.
  source.addEventListener("ApprovalAsked", reload);
  source.addEventListener("ApprovalDecided", reload);
  setInterval(countDown, 1000);
  countDown();
}
source.addEventListener("end", reload);
source.addEventListener("error", () => {
  // Otherwise it connects again by itself.
  if (source.readyState === EventSource.CLOSED) setTimeout(reload, 3000);
});
localise(page);
