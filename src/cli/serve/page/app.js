// Start-up, addresses, loading and the two tabs. An address is `#<segment>` or `#<segment>/merchandiser`;
// `?segment=<segment>` works too, for links from elsewhere, and `?arm=<arm>` shows what that arm of an experiment sees.

const views = ["shopper", "merchandiser"];
const stories = document.documentElement.dataset.merchandiser;
const state = { run: null, segment: null, view: "shopper", turn: 0 };

class NotThere extends Error {}

async function getJson(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  if (answer.ok) return answer.json();
  const { error } = await answer.json().catch(() => ({}));
  const message = error ?? `${path}: HTTP ${answer.status}`;
  throw answer.status === 404 ? new NotThere(message) : new Error(message);
}

function readAddress() {
  // No decoding: an id holds no character that an address would encode.
  const [segment, view] = location.hash.slice(1).split("/");
  const asked = segment || new URLSearchParams(location.search).get("segment");
  return { segment: asked || null, view: view === "merchandiser" && stories !== "hidden" ? view : "shopper" };
}

function writeAddress() {
  const tail = state.view === "merchandiser" ? "/merchandiser" : "";
  history.pushState(null, "", `#${state.segment}${tail}`);
}

// ---- loading

async function start() {
  showBones();
  try {
    const pointer = await getJson("/current.json");
    state.run = await getJson(`/runs/${pointer.run_id}/index.json`);
  } catch (error) {
    return showFailure(error, start, "Nothing is published yet", "Run a night first, for example with `make run-local`, then reload.");
  }
  picker.fill(Object.entries(state.run.segments).map(([id, entry]) => ({ id, words: wordFor(sourceWords, entry.source) })));
  showFoot();
  await follow();
}

/** Shows what the address asks for; the run's first segment where it asks for none. */
async function follow() {
  const asked = readAddress();
  const segment = asked.segment ?? Object.keys(state.run.segments)[0];
  selectTab(asked.view);
  if (segment === undefined) return showNotice(notice("This run has no pages", ["It was published without a single segment."]));
  await showSegment(segment);
}

async function showSegment(segment) {
  const turn = ++state.turn;
  state.segment = segment;
  picker.show(segment);
  const entry = Object.hasOwn(state.run.segments, segment) ? state.run.segments[segment] : null;
  if (!entry) return showNotice(notice("No such segment", [`This run has no page for “${segment}”. Choose one of its segments above.`]));
  showBones();
  try {
    const manifest = await getJson(`/runs/${state.run.run_id}/segments/${segment}.json`);
    const found = stories === "hidden" ? null : await findStory(segment);
    // A slower answer to an earlier choice must not replace a later one.
    if (turn === state.turn) showPage({ manifest, entry, found });
  } catch (error) {
    if (turn === state.turn) showFailure(error, () => showSegment(segment), "This page is missing", "The run's index names it, but the store does not hold it.");
  }
}

/** `{ story }`, or `{ why }` there is none. The server finds the night that made a reused or carried-over page. */
async function findStory(segment) {
  if (stories === "public") {
    return { why: "Only what is published is known here. Start `endcap serve` with --work to see the reasons behind it." };
  }
  try {
    return { story: await getJson(`/api/story/${state.run.run_id}/${segment}`) };
  } catch (error) {
    if (!(error instanceof NotThere)) return { why: `The story could not be read: ${error.message}` };
    return { why: "No story is kept for this page: an earlier night made it and its private files are gone, or it is a fallback." };
  }
}

// ---- showing

/** The page as the arm of the address sees it; its own placements where it has no variant for that arm. */
function asArmSees(manifest) {
  const arm = new URLSearchParams(location.search).get("arm");
  const variant = manifest.variants?.find((other) => other.arm === arm);
  return variant ? { ...manifest, source: variant.source, placements: variant.placements } : manifest;
}

function showPage(page) {
  const { entry, found } = page;
  const manifest = asArmSees(page.manifest);
  renderShopper(byId("shopper"), manifest);
  if (found) renderMerchandiser(byId("merchandiser"), page);
  setBusy(false);
  document.title = `${manifest.segment_id} · endcap storefront`;
  const shelves = plural(manifest.placements.length, "shelf", "shelves");
  announce(`Showing ${manifest.segment_id}: ${shelves}, ${wordFor(statusWords, entry.status).toLowerCase()}.`);
}

function showNotice(node) {
  const copy = node.cloneNode(true);
  byId("shopper").replaceChildren(node);
  byId("merchandiser").replaceChildren(copy);
  setBusy(false);
  document.title = "endcap storefront";
  announce(node.textContent);
}

function showFailure(error, retry, missingTitle, missingHelp) {
  const missing = error instanceof NotThere;
  const title = missing ? missingTitle : "The storefront could not be loaded";
  showNotice(notice(title, [missing ? missingHelp : error.message]));
  for (const place of document.querySelectorAll(".notice")) {
    place.append(el("button.button", { type: "button", onclick: retry }, "Try again"));
  }
}

function showBones() {
  const row = () => el("div.row", Array.from({ length: 8 }, () => el("div.bone.bone--row")));
  for (const id of views) {
    byId(id).replaceChildren(el("div.bone.bone--hero"), el("div.bone.bone--title"), row(), el("div.bone.bone--title"), row());
  }
  setBusy(true);
}

function setBusy(busy) {
  byId("content").setAttribute("aria-busy", String(busy));
}

function showFoot() {
  const { run_id, as_of, segments } = state.run;
  byId("foot").textContent = `Run ${run_id}, features up to ${longDate(as_of)}, ${plural(Object.keys(segments).length, "segment")}.`;
}

// ---- tabs and theme

function selectTab(view) {
  state.view = view;
  for (const name of views) {
    const tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === view));
    tab.tabIndex = name === view ? 0 : -1;
    byId(name).hidden = name !== view;
  }
  byId("basket").hidden = view !== "shopper";
}

function openTab(view) {
  if (view === state.view) return;
  selectTab(view);
  if (state.segment) writeAddress();
  scrollTo({ top: 0 });
}

function setUpTabs() {
  byId("tabs").hidden = stories === "hidden";
  for (const name of views) {
    byId(`tab-${name}`).addEventListener("click", () => openTab(name));
  }
  byId("tabs").addEventListener("keydown", (event) => {
    const next = { ArrowRight: "merchandiser", End: "merchandiser", ArrowLeft: "shopper", Home: "shopper" }[event.key];
    if (!next) return;
    event.preventDefault();
    openTab(next);
    byId(`tab-${next}`).focus();
  });
}

function setUpTheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => byId("theme").setAttribute("aria-pressed", String(isDark()));
  const kept = localStorage.getItem("endcap-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem("endcap-theme", root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();
}

const picker = makePicker((segment) => {
  if (segment === state.segment) return;
  state.segment = segment;
  writeAddress();
  scrollTo({ top: 0 });
  showSegment(segment);
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("content").focus();
});
addEventListener("popstate", () => state.run && follow());
setUpTheme();
setUpTabs();
start();
