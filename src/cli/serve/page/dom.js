"use strict";

// Small helpers both views build on. Data reaches the page through text nodes and attributes only: there is no markup
// in a string anywhere, and the page's policy (trusted types) would refuse it.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

/** An element: `el("p.note", { hidden: true }, "text", child, null)`. Strings become text nodes; null is skipped. */
function el(spec, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  const [first] = children;
  if (first && first.constructor === Object) setAttributes(node, children.shift());
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** A drawing of the sprite, hidden from assistive technology: the words beside it say the same. */
function drawing(symbol, className) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#${symbol}`);
  svg.append(use);
  return svg;
}

const icon = (name) => drawing(`i-${name}`, "icon");
const hiddenText = (text) => el("span.visually-hidden", text);

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const whole = new Intl.NumberFormat("en-US");
const percent = (share) => `${Math.round(share * 100)}%`;
const plural = (count, one, many = `${one}s`) => `${whole.format(count)} ${count === 1 ? one : many}`;

/** A calendar date of the data (`2017-11-20`), in words and free of the reader's time zone. */
function longDate(text) {
  const date = new Date(`${String(text).slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(date.getTime())) return String(text);
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" }).format(date);
}

const statusWords = { new: "New tonight", reused: "Reused, unchanged", "carried-over": "Carried over" };
const sourceWords = { cascade: "Cascade", mixed: "Mixed", ranker: "Ranker" };
const wordFor = (words, key) => (Object.hasOwn(words, key) ? words[key] : String(key));

const OWN_BRANDS = new Set(["own brand", "private", "private label", "store brand"]);
const isOwnBrand = (product) => OWN_BRANDS.has((product.brand ?? "").toLowerCase());

function announce(text) {
  byId("announce").textContent = text;
}

/** An empty or failed page: a drawing, a heading, what to do about it. */
function notice(title, lines, action) {
  const empty = drawing("i-empty");
  return el("section.notice", empty, el("h1", title), lines.map((line) => el("p", line)), action ?? null);
}
