// The segment picker: an editable combobox with a filtered list (WAI-ARIA authoring practices, "combobox").

/** Options drawn at once; a run may have thousands of segments, and typing narrows them. */
const MOST_OPTIONS = 200;

/** `choose(id)` is called with each segment the reader settles on. */
function makePicker(choose) {
  const input = byId("segment");
  const list = byId("segments");
  let entries = [];
  let current = null;
  let active = -1;

  const options = () => [...list.querySelectorAll("[role=option]")];
  const isOpen = () => !list.hidden;

  function render(filter) {
    const wanted = filter.trim().toLowerCase();
    const matching = entries.filter(({ id, words }) => `${id} ${words}`.toLowerCase().includes(wanted));
    const left = matching.length - MOST_OPTIONS;
    list.replaceChildren(...matching.slice(0, MOST_OPTIONS).map(option));
    if (!matching.length) list.append(remark("No segment of that name"));
    if (left > 0) list.append(remark(`and ${plural(left, "more segment")}: type to narrow them down`));
  }

  const remark = (text) => el("li.picker__none", { role: "presentation" }, text);

  function option({ id, words }, at) {
    const attributes = { role: "option", id: `segment-option-${at}`, "data-id": id, "aria-selected": String(id === current) };
    return el("li.picker__option", attributes, el("span", id), el("small", words));
  }

  function open(filter = "") {
    render(filter);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(options().findIndex((node) => filter === "" ? node.dataset.id === current : true));
  }

  function close() {
    list.hidden = true;
    input.value = current ?? "";
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  }

  function activate(at) {
    const nodes = options();
    active = nodes.length ? Math.max(0, Math.min(at, nodes.length - 1)) : -1;
    nodes.forEach((node, index) => node.classList.toggle("is-active", index === active));
    if (active < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", nodes[active].id);
    nodes[active].scrollIntoView({ block: "nearest" });
  }

  function settle(id) {
    current = id;
    close();
    choose(id);
  }

  const keys = {
    ArrowDown: () => (isOpen() ? activate(active + 1) : open()),
    ArrowUp: () => (isOpen() ? activate(active - 1) : open()),
    Enter: () => {
      const node = options()[active];
      if (isOpen() && node) settle(node.dataset.id);
    },
    Escape: close,
  };

  input.addEventListener("keydown", (event) => {
    if (event.isComposing || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  input.addEventListener("input", () => open(input.value));
  input.addEventListener("click", () => {
    if (isOpen()) return;
    input.select();
    open();
  });
  input.addEventListener("blur", close);
  // The press must not take the focus from the input, or the list closes before the click arrives.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const node = event.target.closest("[role=option]");
    if (node) settle(node.dataset.id);
  });

  return {
    /** The run's segments, in order: `[{ id, words }]`. */
    fill(segments) {
      entries = segments;
      input.disabled = entries.length === 0;
    },
    /** The segment on show, when something other than the picker chose it. */
    show(id) {
      current = id;
      close();
    },
  };
}
