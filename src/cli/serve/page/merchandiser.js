// The merchandiser's view: why each placement is there, what was turned away, and the page the ranker alone would make.
// Its data is private and served only on request (`/api/story/…`); without it the public part is still told.

/** `found` is `{ story }`, or `{ why }` where there is no story to show. */
function renderMerchandiser(root, { manifest, entry, found }) {
  const { story } = found;
  const parts = [dossierHead(manifest, entry, story), found.why ? el("p.remark", found.why) : null];
  if (story) {
    const cards = productCards(manifest, story);
    parts.push(segmentFacts(story.context), ...placementSections(manifest, story, cards));
    parts.push(turnedAway(manifest, story), comparison(story, cards));
  } else {
    parts.push(publicPlacements(manifest));
  }
  parts.push(provenance(manifest, entry));
  root.replaceChildren(...parts.filter(Boolean));
}

const sourcePill = (source) => el(`span.pill.${source === "ranker" ? "pill--blue" : "pill--good"}`, wordFor(sourceWords, source));

function dossierHead(manifest, entry, story) {
  const status = entry?.status ?? "new";
  return el(
    "header.dossier",
    el(
      "ul.chips",
      el("li", sourcePill(manifest.source)),
      el("li", el(`span.pill${status === "carried-over" ? ".pill--promo" : ""}`, wordFor(statusWords, status))),
      story ? el("li", el("span.pill", `Objective: ${story.context.merchandising.objective}`)) : null,
    ),
    el("h1", `Why ${manifest.segment_id} sees this page`),
    story?.design?.persona ? el("blockquote.persona", story.design.persona) : null,
  );
}

function segmentFacts({ households, shopping, distinctive, staples, rising, demographics, merchandising }) {
  const figures = [
    ["Households", whole.format(households)],
    ["Visits a week", shopping.visits_per_week.toFixed(1)],
    ["Basket", money.format(shopping.basket_value)],
    ["Own brand", percent(shopping.private_label_share)],
    ["On promotion", percent(shopping.on_promotion_share)],
    ["Evening", percent(shopping.evening_share)],
    ["Weekend", percent(shopping.weekend_share)],
  ];
  const private_ = Object.entries(demographics ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`);
  return el(
    "section.panel",
    { "aria-labelledby": "facts-title" },
    el("h2", { id: "facts-title" }, "The segment"),
    el("dl.figures", figures.map(([name, value]) => el("div", el("dt", name), el("dd", value)))),
    el(
      "div.signals",
      signal("Distinctive", (distinctive ?? []).map(({ name, lift }) => `${name} ×${lift.toFixed(1)}`)),
      signal("Rising", rising ?? []),
      signal("Staples", staples ?? []),
      signal("Demographics, never published", private_),
      signal("Merchandising tonight", [merchandising.campaign?.name, ...(merchandising.rules ?? [])].filter(Boolean)),
    ),
  );
}

function signal(name, texts) {
  if (!texts.length) return null;
  return el("div", el("h3", name), el("ul.chips", texts.map((text) => el("li.chip", text))));
}

/** Cards of every product the story may name, by id. */
function productCards(manifest, story) {
  const known = manifest.placements.flatMap((placement) => placement.products).concat(story.products ?? []);
  return new Map(known.map((product) => [product.product_id, product]));
}

const cardOf = (cards, id) => cards.get(id) ?? { product_id: id, title: `Product ${id}` };

function placementSections(manifest, story, cards) {
  return story.fused.placements.map((fused, at) => {
    const stocked = story.placements.find((placement) => placement.design.title === fused.title);
    const verdicts = story.verdicts.filter((verdict) => verdict.placement === fused.title);
    const titleId = `why-${at}`;
    return el(
      "section.panel.why",
      { "aria-labelledby": titleId },
      el("p.why__place", `Shelf ${at + 1}`, sourcePill(fused.source), fused.campaign ? el("span.pill.pill--promo", icon("star"), fused.campaign) : null),
      el("h2", { id: titleId }, fused.title),
      el("div.why__columns", el("div", reasoning(stocked), findings(verdicts)), scoreTable(fused, cards)),
    );
  });
}

function reasoning(stocked) {
  if (!stocked) {
    return el("p.why__intent", "The ranker filled this place: no accepted theme was left for it. Its title is an aisle, its products this segment's likeliest buys.");
  }
  const { design, candidates, keywords } = stocked;
  return [
    el("p.why__intent", design.intent),
    el("h3", "Concepts"),
    el("ul.chips", design.concepts.map((concept) => el("li.chip", concept))),
    el("h3", `Keywords: ${keywords.length} chosen of ${plural(candidates.length, "candidate")}`),
    candidateChips(candidates, keywords),
  ];
}

function candidateChips(candidates, keywords) {
  const chosen = new Set(keywords.map((keyword) => keyword.keyword_id));
  const chip = ({ keyword_id, text, score }) =>
    chosen.has(keyword_id)
      ? el("li.chip.chip--chosen", { title: `retrieval score ${score.toFixed(4)}` }, icon("check"), text, hiddenText(" (chosen)"))
      : el("li.chip", { title: `retrieval score ${score.toFixed(4)}` }, text);
  return el("ul.chips.chips--dense", candidates.map(chip));
}

function findings(verdicts) {
  if (!verdicts.length) return el("p.clean", icon("shield"), "AIQA had nothing to say.");
  return [el("h3", `AIQA: ${plural(verdicts.length, "finding")}`), el("ul.findings", verdicts.map(finding))];
}

function finding({ subject, rule, text, reason }) {
  return el(
    "li.finding",
    el("p", el("span.pill.pill--bad", subject), el("code", rule), el("q", text)),
    el("p.finding__reason", reason),
  );
}

/** Ranks by the pointwise ranker alone, 1 the best; ties keep the page's order. */
function rankerRanks(products) {
  const order = products.map((_, at) => at).sort((a, b) => products[b].parts.ranker - products[a].parts.ranker || a - b);
  const ranks = [];
  order.forEach((at, rank) => (ranks[at] = rank + 1));
  return ranks;
}

/** How a product came onto its placement. */
const VIA = { retrieved: "Found", alternative: "Alike", neighbor: "Same aisle", companion: "Goes with it", ranker: "Ranker", rule: "Rule" };

/** What is expected of 100 visits of the segment. */
function demand({ purchases, recent_purchases, first_purchases, business }) {
  const per100 = (visits) => (100 * (visits ?? 0)).toFixed(1);
  return `Of 100 visits: ${per100(purchases)} purchases, ${per100(recent_purchases)} by the last weeks, ${per100(first_purchases)} first ones; business ×${(business ?? 1).toFixed(2)}`;
}

function scoreTable(fused, cards) {
  const ranks = rankerRanks(fused.products);
  const rows = fused.products.map((product, at) => {
    const { ranker, relevance, fit, rule_factor, pinned, via } = product.parts;
    const { title } = cardOf(cards, product.product_id);
    return el(
      "tr",
      el("td.number", String(at + 1)),
      el("th", { scope: "row" }, el("span.scored", tile(title), el("span", title))),
      el("td", VIA[via] ?? ""),
      el("td", { title: demand(product.parts) }, bar(ranker, "ranker")),
      el("td", bar(relevance, "cascade")),
      el("td", bar(fit ?? 0, "cascade")),
      el("td", { title: (product.rules ?? []).join(", ") }, pinned ? el("span.pill.pill--promo", icon("pin"), "Pin") : rule_factor === 1 ? "" : `×${rule_factor.toFixed(2)}`),
      el("td.number", move(ranks[at], at + 1)),
    );
  });
  const heads = ["#", "Product", "From", "Worth", "Found", "Title", "Rules", "By worth"].map((name) => el("th", { scope: "col" }, name));
  return el(
    "div.scores",
    { tabindex: "0", role: "region", "aria-label": `Scores: ${fused.title}` },
    el("table", el("thead", el("tr", heads)), el("tbody", rows)),
  );
}

function bar(value, kind) {
  const fill = el(`span.meter__fill.meter__fill--${kind}`);
  fill.style.width = percent(Math.max(0, Math.min(1, value)));
  return el("span.meter", el("span.meter__track", { "aria-hidden": "true" }, fill), el("span.meter__value", value.toFixed(2)));
}

/** The ranker's rank, and how far fusion moved the product from it. */
function move(rankerRank, finalRank) {
  const places = rankerRank - finalRank;
  if (!places) return String(rankerRank);
  const words = `moved ${places > 0 ? "up" : "down"} ${Math.abs(places)}`;
  const mark = el(`span.${places > 0 ? "up" : "down"}`, { "aria-hidden": "true" }, `${places > 0 ? "↑" : "↓"}${Math.abs(places)}`);
  return el("span", String(rankerRank), " ", mark, hiddenText(`, ${words} by the cascade and rules`));
}

function turnedAway(manifest, story) {
  const shown = new Set(story.fused.placements.map((placement) => placement.title));
  const designs = [...story.placements.map(({ design }) => design), ...(story.design?.reserve ?? [])];
  const unused = [...new Map(designs.filter(({ title }) => !shown.has(title)).map((design) => [design.title, design])).values()];
  const rest = story.verdicts.filter(({ placement }) => !shown.has(placement) && !unused.some(({ title }) => title === placement));
  if (!unused.length && !rest.length) return null;
  const entry = (design) => {
    const verdicts = story.verdicts.filter(({ placement }) => placement === design.title);
    return el(
      "li.away",
      el("h3", verdicts.length ? el("s", design.title) : design.title),
      el("p.why__intent", design.intent),
      verdicts.length ? el("ul.findings", verdicts.map(finding)) : el("p.clean", "Held in reserve, not needed."),
    );
  };
  return el(
    "section.panel",
    { "aria-labelledby": "away-title" },
    el("h2", { id: "away-title" }, "Not on the page"),
    el("ul.aways", unused.map(entry), rest.length ? el("li.away", el("h3", "Other findings"), el("ul.findings", rest.map(finding))) : null),
  );
}

function comparison({ fused, ranker_page }, cards) {
  const ids = (page) => new Set(page.placements.flatMap(({ products }) => products.map(({ product_id }) => product_id)));
  const [left, right] = [ids(fused), ids(ranker_page)];
  const shared = [...left].filter((id) => right.has(id)).length;
  const column = (name, page, other) =>
    el("div.versus__page", el("h3", name), page.placements.map((placement) => versusShelf(placement, cards, other)));
  return el(
    "section.panel",
    { "aria-labelledby": "versus-title" },
    el("h2", { id: "versus-title" }, "This page against the ranker alone"),
    el("p.why__intent", `${plural(shared, "product")} of ${left.size} stand on both pages; they are ringed.`),
    el("div.versus", column("Published page", fused, right), column("Ranker only", ranker_page, left)),
  );
}

function versusShelf(placement, cards, other) {
  const product = ({ product_id }) => {
    const { title } = cardOf(cards, product_id);
    const both = other.has(product_id);
    return el(both ? "li.mini.mini--both" : "li.mini", { title }, tile(title), el("span", title), both ? hiddenText(" (on both pages)") : null);
  };
  return el("div.versus__shelf", el("h4", placement.title), el("ul.minis", placement.products.map(product)));
}

function publicPlacements(manifest) {
  const item = (placement) => el("li.away", el("h3", placement.title), el("p", sourcePill(placement.source), ` ${plural(placement.products.length, "product")}`), el("ul.chips", placement.keywords.map((word) => el("li.chip", word))));
  return el("section.panel", { "aria-labelledby": "public-title" }, el("h2", { id: "public-title" }, "What is published"), el("ul.aways", manifest.placements.map(item)));
}

function provenance(manifest, entry) {
  const made = manifest.provenance;
  const short = (digest) => el("code", { title: digest }, String(digest).slice(0, 12));
  const rows = [
    ["Made by run", el("code", manifest.run_id)],
    ["Features up to", longDate(manifest.as_of)],
    ["Valid until", longDate(manifest.valid_until)],
    ...Object.entries(made.models).map(([name, digest]) => [name, short(digest)]),
    ["Inputs", short(made.inputs)],
    ["Config", short(made.config)],
    entry ? ["Page’s sha256", short(entry.sha256)] : null,
    ["Engine", `endcap ${made.engine_version}`],
  ];
  return el(
    "section.panel",
    { "aria-labelledby": "provenance-title" },
    el("h2", { id: "provenance-title" }, "Provenance"),
    el("dl.figures.figures--small", rows.filter(Boolean).map(([name, value]) => el("div", el("dt", name), el("dd", value)))),
  );
}
