// The shopper's view: a welcome, then the page's placements as shelves of product cards.

/** A basket for the feel of the page only: it lives until the next segment is chosen. */
const basket = {
  count: 0,
  total: 0,
  clear() {
    this.count = this.total = 0;
    this.show();
  },
  add(product) {
    this.count += 1;
    this.total += product.price;
    this.show();
    announce(`${product.title} added. Basket: ${plural(this.count, "item")}, ${money.format(this.total)}.`);
  },
  show() {
    byId("basket-total").textContent = this.count ? `${this.count} · ${money.format(this.total)}` : "Empty";
  },
};

function renderShopper(root, manifest) {
  basket.clear();
  if (!manifest.placements.length) {
    root.replaceChildren(notice("This page has no shelves", ["The run published an empty page for this segment."]));
    return;
  }
  root.replaceChildren(hero(manifest), jumpLinks(manifest.placements), ...manifest.placements.map(shelf));
  root.querySelectorAll(".shelf").forEach(makeScrollable);
}

function hero({ placements, as_of }) {
  const products = placements.reduce((count, placement) => count + placement.products.length, 0);
  const art = placements.filter((placement) => placement.products.length).slice(0, 5);
  return el(
    "section.hero",
    { "aria-labelledby": "hero-title" },
    el(
      "div.hero__text",
      el("h1", { id: "hero-title" }, "Picked for your next basket"),
      el("p", `${plural(placements.length, "shelf", "shelves")}, ${plural(products, "product")}, laid out for ${longDate(as_of)}.`),
    ),
    el("div.hero__art", { "aria-hidden": "true" }, art.map((placement) => tile(placement.products[0].title))),
  );
}

function jumpLinks(placements) {
  const link = (placement, at) => {
    const go = (event) => {
      event.preventDefault();
      const title = byId(`shelf-${at}`);
      title.scrollIntoView();
      title.focus({ preventScroll: true });
    };
    return el("a", { href: `#shelf-${at}`, onclick: go }, placement.title);
  };
  return el("nav.jump", { "aria-label": "Shelves on this page" }, placements.map(link));
}

function shelf(placement, at) {
  const words = el(
    "div.shelf__words",
    placement.campaign ? el("span.pill", icon("star"), placement.campaign) : null,
    el("h2", { id: `shelf-${at}`, tabindex: "-1" }, placement.title),
    placement.keywords.length
      ? el("ul.chips", { "aria-label": "Search keywords" }, placement.keywords.map((word) => el("li.chip", word)))
      : null,
  );
  const arrow = (side, step) =>
    el("button.icon-button", { type: "button", "data-step": step, "aria-label": `Scroll ${side}: ${placement.title}` }, icon(side));
  return el(
    placement.campaign ? "section.shelf.shelf--campaign" : "section.shelf",
    { "aria-labelledby": `shelf-${at}` },
    el("div.shelf__head", words, el("div.shelf__arrows", arrow("left", -1), arrow("right", 1))),
    el("ul.row", { "aria-labelledby": `shelf-${at}` }, placement.products.map(card)),
  );
}

function card(product, at) {
  const name = `Add ${product.title} to the basket`;
  const add = el("button.card__add", { type: "button", "aria-label": name, "aria-describedby": "shelf-hint", tabindex: at ? "-1" : "0" }, icon("plus"));
  let taken = 0;
  add.addEventListener("click", () => {
    taken += 1;
    add.textContent = String(taken);
    add.setAttribute("aria-label", `${name}, ${taken} taken`);
    basket.add(product);
  });
  return el(
    "li.card",
    el("div.card__pic", picture(product), isOwnBrand(product) ? el("span.card__own", "Own brand") : null, add),
    price(product.price),
    el("h3.card__title", { title: product.title }, product.title),
    moreAbout(product),
  );
}

function moreAbout(product) {
  const more = [isOwnBrand(product) ? null : product.brand, product.package_size].filter(Boolean).join(" · ");
  return more ? el("p.card__more", more) : null;
}

/** The product's image where this server may show it (same origin or inline); a drawing otherwise. */
function picture(product) {
  const drawn = tile(product.title);
  if (!product.image_url || !isLocalImage(product.image_url)) return drawn;
  const image = el("img", { src: product.image_url, alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(drawn));
  return image;
}

function isLocalImage(address) {
  const url = URL.parse?.(address, location.href);
  return Boolean(url) && (url.origin === location.origin || url.protocol === "data:");
}

/** "$3" with small cents, as shelf labels print it; a screen reader hears the plain price. */
function price(value) {
  const shown = money.formatToParts(value).map(({ type, value: text }) => {
    if (type === "currency" || type === "fraction") return el(type === "currency" ? "sup.currency" : "sup", text);
    return type === "decimal" ? "" : text;
  });
  return el("p.card__price", el("span", { "aria-hidden": "true" }, shown), hiddenText(money.format(value)));
}

/** Arrow buttons scroll the shelf; arrow keys walk its products, with one tab stop a shelf. */
function makeScrollable(section) {
  const row = section.querySelector(".row");
  const arrows = [...section.querySelectorAll(".shelf__arrows button")];
  const refresh = () => {
    const end = row.scrollWidth - row.clientWidth;
    arrows[0].disabled = row.scrollLeft < 4;
    arrows[1].disabled = row.scrollLeft > end - 4;
    arrows.forEach((arrow) => (arrow.hidden = end < 4));
  };
  for (const arrow of arrows) {
    arrow.addEventListener("click", () => row.scrollBy({ left: arrow.dataset.step * row.clientWidth * 0.8, behavior: motion() }));
  }
  row.addEventListener("scroll", refresh, { passive: true });
  new ResizeObserver(refresh).observe(row);
  row.addEventListener("keydown", walkShelf);
}

const motion = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

function walkShelf(event) {
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const next = {
    ArrowRight: () => buttons[at + 1],
    ArrowLeft: () => buttons[at - 1],
    Home: () => buttons[0],
    End: () => buttons.at(-1),
    ArrowDown: () => neighbour(event.currentTarget, 1),
    ArrowUp: () => neighbour(event.currentTarget, -1),
  }[event.key];
  if (at < 0 || !next) return;
  event.preventDefault();
  const target = next();
  if (!target) return;
  if (buttons.includes(target)) buttons.forEach((button) => (button.tabIndex = button === target ? 0 : -1));
  target.focus();
  target.closest(".card").scrollIntoView({ block: "nearest", inline: "nearest", behavior: motion() });
}

/** The product to land on, one shelf up or down. */
function neighbour(row, step) {
  const rows = [...document.querySelectorAll(".row")];
  return rows[rows.indexOf(row) + step]?.querySelector('button[tabindex="0"]');
}
