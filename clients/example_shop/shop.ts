import { createParleyClient, type Schemas } from "../typescript/mod.ts";

const { searchParams } = new URL(location.href);
const key = searchParams.get("key");
const parley = createParleyClient({
  url: searchParams.get("api") ?? "http://127.0.0.1:8000",
  ...key !== null && { key },
});

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}
const user = element<HTMLInputElement>("user");
const text = element<HTMLInputElement>("text");
const items = element("items");
const more = element("more");
const status = element("status");

/** The answer that is shown: the next page continues it, and events refer to it. */
let shown: Schemas["Answer"] | null = null;

/** Shows the user's newest answer. */
async function load(): Promise<void> {
  const { data, error } = await parley.GET("/recommendations/{user_id}", {
    params: { path: { user_id: user.value }, query: { k: 5 } },
  });
  if (error !== undefined) return report(error);
  items.replaceChildren();
  show(data);
}

/** Adds the next page, without what is shown already. */
async function loadMore(): Promise<void> {
  const id = shown?.recommendation_id;
  if (id == null) return;
  const { data, error } = await parley.POST("/recommendations/{id}/next", {
    params: { path: { id } },
  });
  if (error !== undefined) return report(error);
  show(data);
}

function show(answer: Schemas["Answer"]): void {
  shown = answer;
  const first = items.childElementCount;
  items.append(...answer.items.map((item, at) => card(item, answer, first + at + 1)));
  more.hidden = answer.recommendation_id === null || answer.items.length === 0;
}

function card(item: Schemas["Item"], answer: Schemas["Answer"], position: number): HTMLElement {
  const card = document.createElement("li");
  const title = document.createElement("h3");
  title.textContent = item.title;
  const reason = document.createElement("p");
  reason.textContent = item.reasons[0]?.text ?? "";
  const action = (label: string, type: Schemas["Event"]["type"]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () =>
      write(`${label}: ${item.title}`, () =>
        parley.POST("/events", {
          body: {
            user_id: user.value,
            campaign_id: item.campaign_id,
            type,
            timestamp: new Date().toISOString(),
            recommendation_id: answer.recommendation_id,
            position,
          },
        })));
    return button;
  };
  card.append(
    title,
    reason,
    action("Open", "click"),
    action("Buy", "conversion"),
    action("Not interested", "dismissal"),
  );
  return card;
}

/** Sends what the user did, then shows the answer that knows it. */
async function write(what: string, send: () => Promise<{ error?: Schemas["Problem"] }>): Promise<void> {
  const start = performance.now();
  const { error } = await send();
  if (error !== undefined) return report(error);
  await load();
  status.textContent = `${what}. The answer knows it after ${Math.round(performance.now() - start)} ms.`;
}

function report(problem: Schemas["Problem"]): void {
  status.textContent = problem.detail;
}

element("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = text.value;
  text.value = "";
  write(
    "Sent",
    () =>
      parley.POST("/messages", {
        body: { user_id: user.value, message, timestamp: new Date().toISOString() },
      }),
  );
});
user.addEventListener("change", load);
more.addEventListener("click", loadMore);
await load();
