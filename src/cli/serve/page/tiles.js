// Product tiles. Images are often absent, so a product gets a drawing chosen from the words of its title; the same title
// always gets the same drawing and shade.

// First match wins, so the specific stands before the general: [words, drawing, hue in degrees of the OKLCH circle].
const KINDS = [
  [/\b((?<!(hot|corn) )dog|cat|pet|kitty|puppy|bird ?seed|litter)\b/, "paw", 60],
  [/\b(baby|diapers?|infant|toddler|formula)\b/, "baby", 230],
  [/\b(flowers?|floral|roses?|bouquets?|carnations?|lil(y|ies)|orchids?|plants?|mums|tulips?|poinsettias?)\b/, "flower", 350],
  [/\b(gift|greeting|wrap(ping)?|christmas|halloween|easter (basket|grass)|party)\b/, "gift", 15],
  [/\b(magazines?|books?|paperbacks?|notebooks?|paper pads?|newspapers?|calendars?|pens?|pencils?|envelopes?|stationery)\b/, "book", 265],
  [/\b(bulbs?|batter(y|ies)|lighting|candles?|hardware|extension)\b/, "bulb", 85],
  [/\b(wines?|champagne|prosecco|chardonnay|merlot|zinfandel|spirits|liquor|vodka|rum|whisk(e)?y)\b/, "wine", 5],
  [/\b(beers?|ales?|lagers?|malt|ciders?)\b/, "beer", 80],
  [/\b(ice cream|sherbet|sorbet|gelato|popsicles?|ice pops?|novelt(y|ies)|frozen (yogurt|whipped))\b/, "cone", 40],
  [/\b(pizzas?|calzones?)\b/, "pizza", 40],
  [/\b(sushi)\b/, "sushi", 25],
  [/\b(coffees?|espresso|teas?|cocoa|cappuccino|creamers?)\b/, "mug", 50],
  [/\b(sodas?|colas?|soft drinks?|energy drinks?|seltzer|sparkling)\b/, "soda", 20],
  [/\b(juices?|lemonade|punch|smoothies?|nectar\b|drink mix|drinks?)\b/, "glass", 65],
  [/\b(water|sports)\b/, "bottle", 225],
  [/\b(oils?|vinegar|syrups?|ketchup|dressings?)\b/, "bottle", 80],
  [/\b(soups?|broth|stew|chili|stock|oatmeal|porridge|ramen)\b/, "bowl", 45],
  [/\b(pasta|macaroni|mac|spaghetti|noodles?|lasagna|ravioli|rice|fettuccine)\b/, "pasta", 75],
  [/\b(jam|jelly|preserves|honey|peanut butter|salsa|sauces?|pickles?|olives?|relish|mayo(nnaise)?|mustard|dips?|spreads?|hummus|spices?|seasonings?|gravy)\b/, "jar", 35],
  [/\b(canned|cans?|beans|chickpeas)\b/, "can", 20],
  [/\b(yogurts?|puddings?|cottage cheese|sour cream|gelatin|apple ?sauce)\b/, "cup", 330],
  [/\b(milk|cream|half.?and.?half|buttermilk|eggnog)\b/, "milk", 235],
  [/\b(cheese|cheddar|mozzarella|parmesan|swiss|brie|feta|string cheese)\b/, "cheese", 85],
  [/\b(butter|margarine|shortening)\b/, "butter", 95],
  [/\b(eggs?)\b/, "egg", 70],
  [/\b(bacon|ham|prosciutto)\b/, "bacon", 15],
  [/\b(sausages?|hot dogs?(?! buns?)|corn dogs?|franks?|bratwurst|pepperoni|salami|bologna|kielbasa|wieners?)\b/, "sausage", 25],
  [/\b(fish|salmon|tilapia|tuna|shrimp|crab|cod|catfish|seafood|lobster|scallops?|trout)\b/, "fish", 220],
  [/\b(chicken|turkey|wings?|poultry|drumsticks?|duck)\b/, "drumstick", 50],
  [/\b(beef|steaks?|pork|ribs?|roasts?|lamb|veal|meat|chops?|tenderloin|jerky|deli|lunchmeat|burgers?|patties)\b/, "steak", 18],
  [/\b(buns?|rolls?|bagels?|muffins?|croissants?|biscuits?|sandwich(es)?|pitas?)\b(?!.*(towel|foil|wrap))/, "bun", 65],
  [/\b(bread|loaf|toast|baguettes?|tortillas?|wraps?|croutons|stuffing)\b/, "bread", 60],
  [/\b(cakes?|cupcakes?|frosting|brownies?|donuts?|doughnuts?|pastr(y|ies)|whipped topping|icing)\b/, "cupcake", 345],
  [/\b(pies?|cobbler|crusts?|tarts?)\b/, "pie", 55],
  [/\b(cookies?|wafers?|graham|crackers?|shortbread)\b/, "cookie", 60],
  [/\b(bars?|granola bars?)\b/, "bar", 40],
  [/\b(candy|candies|chocolates?|gum|mints?|gummies|marshmallows?|caramels?)\b/, "candy", 340],
  [/\b(nuts?|almonds|cashews?|peanuts|pecans|walnuts|pistachios?|trail mix|seeds?)\b/, "nuts", 55],
  [/\b(chips?|pretzels?|popcorn|snacks?|puffs|crisps)\b/, "bag", 75],
  [/\b(cereals?|granola|mix(es)?|flour|sugar|baking|pancake|waffle)\b/, "box", 45],
  [/\b(detergents?|cleaners?|bleach|disinfectant|spray|fresheners?|softeners?|dish)\b/, "spray", 200],
  [/\b(towels?|tissues?|toilet|napkins?|foil|plastic wrap|plates|trash|bags)\b/, "roll", 240],
  [/\b(shampoo|conditioner|lotion|soaps?|deodorants?|toothpaste|razors?|shav(e|ing)|cosmetics|makeup|hair|skin|body|bath|oral|mascara|nail)\b/, "pump", 300],
  [/\b(vitamins?|pain|cold|cough|allergy|antacids?|medicine|first aid|supplements?|relief|tablets?)\b/, "pill", 190],
  [/\b(frozen)\b/, "frozen", 230],
  [/\b(strawberr(y|ies))\b/, "strawberry", 20],
  [/\b(berries|blueberr(y|ies)|raspberr(y|ies)|blackberr(y|ies))\b/, "berries", 285],
  [/\b(cherr(y|ies)|cranberr(y|ies))\b/, "berries", 15],
  [/\b(grapes?|raisins?)\b/, "grapes", 305],
  [/\b(bananas?|plantains?)\b/, "banana", 95],
  [/\b(oranges?|lemons?|limes?|grapefruit|clementines?|tangerines?|citrus|mandarins?)\b/, "citrus", 70],
  [/\b((water)?melons?|cantaloupe|honeydew)\b/, "melon", 20],
  [/\b(pears?|kiwis?|avocados?)\b/, "apple", 125],
  [/\b(peach(es)?|nectarines?|apricots?|mango(es)?|papayas?)\b/, "apple", 52],
  [/\b(plums?|figs?)\b/, "apple", 325],
  [/\b(apples?|fruits?|pineapples?|pomegranates?)\b/, "apple", 25],
  [/\b(carrots?|parsnips?|yams?|sweet potato(es)?)\b/, "carrot", 55],
  [/\b(tomato(es)?|radish(es)?|beets?)\b/, "tomato", 28],
  [/\b(potato(es)?|hash browns?|fries|tater)\b/, "potato", 70],
  [/\b(peppers?|jalape[nñ]os?|chil(i|e)s?)\b/, "pepper", 30],
  [/\b(corn)\b/, "corn", 92],
  [/\b(mushrooms?)\b/, "mushroom", 50],
  [/\b(onions?|garlic|shallots?|leeks?)\b/, "onion", 325],
  [/\b(lettuce|salads?|spinach|kale|cabbage|greens?|herbs?|celery|broccoli|asparagus|vegetables?|cucumbers?|squash|cauliflower|parsley|cilantro|peas|zucchini|brussels|organic)\b/, "leaf", 145],
];

// A colour said in a produce title is better than the kind's own: "Green grapes", "Yellow onions".
const COLOURED = new Set(["apple", "berries", "grapes", "onion", "pepper", "potato", "tomato", "melon"]);
const COLOURS = [
  [/\bred\b/, 22],
  [/\b(yellow|golden)\b/, 88],
  [/\b(green|granny smith)\b/, 128],
  [/\borange\b/, 55],
  [/\b(black|purple)\b/, 310],
];

/** FNV-1a: a small, even hash, for shades only. */
function hash(text) {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ char.codePointAt(0), 0x01000193);
  return value >>> 0;
}

/** Drawing and hue of a title; unknown kinds get a basket in a hue of their own. */
function kindOf(title) {
  const text = title.slice(0, 200).toLowerCase();
  const found = KINDS.find(([words]) => words.test(text));
  if (!found) return { glyph: "basket", hue: hash(text) % 360 };
  const [, glyph, ownHue] = found;
  const colour = COLOURED.has(glyph) ? COLOURS.find(([word]) => word.test(text)) : null;
  return { glyph, hue: (colour ? colour[1] : ownHue) + (hash(text) % 15) - 7 };
}

/** The square placeholder of a product. */
function tile(title) {
  const { glyph, hue } = kindOf(title);
  const box = el("div.tile", { "aria-hidden": "true" }, drawing(`g-${glyph}`));
  box.style.setProperty("--hue", String(hue));
  return box;
}
