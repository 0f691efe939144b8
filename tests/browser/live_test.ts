import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { nightlyRun, SAMPLE, writeRows } from "../fixtures/flow.ts";
import { leadAt } from "../fixtures/runs.ts";
import { LOOKS } from "./browser.ts";
import { browserTest } from "./site.ts";

const KEY = "a key of twenty-four bytes or more";

browserTest("the overview follows what runs and what is answered", async ({ flow, origin, open }) => {
  const { page } = await open();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`${origin}/`);
  await page.locator("#live[data-state=live]").waitFor();
  await page.getByText("Nothing has run yet.").waitFor();
  await page.evaluate(() => Object.assign(globalThis, { untouched: true }));
  await leadAt(flow.runs, Date.now());
  await nightlyRun(flow, SAMPLE);
  await page.getByText("Everything is fine.").waitFor({ timeout: 20_000 });
  await page.locator("#pipelines tr", { hasText: "nightly" }).locator(".state", { hasText: "success" })
    .waitFor();
  for (let i = 0; i < 3; i++) await (await fetch(`${origin}/recommendations/jonas-ekdahl`)).text();
  await page.locator("#now .figure", { hasText: "From the cache" }).getByText("67 %").waitFor({
    timeout: 20_000,
  });
  const { snapshot } = await nightlyRun(flow, {
    messages: [writeRows(flow, "bad.ndjson", [{ user_id: 7 }])],
  });
  assert.equal(snapshot.run.state, "failed");
  await page.locator("#health").getByText("The last run of nightly failed at validate").waitFor({
    timeout: 20_000,
  });
  await page.locator("#open td", { hasText: snapshot.run.run_id }).first().waitFor();
  assert.equal(await page.evaluate(() => "untouched" in globalThis), true, "without loading it again");
  assert.equal(asked.filter((path) => path === "/overview/events").length, 1);
});

browserTest("a part that is as it was stays the same element", async ({ flow, origin, open }) => {
  await nightlyRun(flow, SAMPLE);
  const { page } = await open();
  await page.addInitScript(`addEventListener("DOMContentLoaded", () => {
    for (const id of ["health", "engagement"]) document.getElementById(id).first = true;
  })`);
  const events = page.waitForResponse((response) => response.url().includes("/overview/events"));
  await page.goto(`${origin}/`);
  await events;
  await page.waitForTimeout(1_000);
  for (const id of ["health", "engagement"]) {
    assert.equal(await page.evaluate(`document.getElementById("${id}").first`), true, id);
  }
});

browserTest("a page in the background asks for nothing", async ({ origin, open }) => {
  const { page } = await open();
  let asked = 0;
  page.on("request", (request) => asked += Number(request.url().includes("/overview/events")));
  await page.goto(`${origin}/`);
  await page.locator("#live[data-state=live]").waitFor();
  const closed = page.waitForEvent("requestfailed");
  await hide(page, true);
  await closed;
  assert.equal(asked, 1);
  await hide(page, false);
  await page.waitForRequest((request) => request.url().includes("/overview/events"));
  assert.equal(asked, 2);
});

browserTest(
  "a button that is gone leaves the focus to no other button",
  async ({ flow, origin, open, work }) => {
    const { page } = await open();
    writeRows(flow, "inbox/bad.ndjson", [{ user_id: 7 }]);
    await page.goto(`${origin}/pipelines/nightly`);
    await page.locator("#param-messages input[type=checkbox]").check();
    await page.getByRole("button", { name: "Queue a run" }).click();
    await page.locator("#live[data-state=live]").waitFor();
    await page.getByRole("button", { name: "Cancel the run" }).focus();
    await work();
    await page.locator("#summary .error").waitFor({ timeout: 20_000 });
    await page.getByRole("button", { name: "Retry what failed" }).waitFor();
    assert.equal(await page.evaluate("document.activeElement.closest('button')"), null);
    assert.equal(await page.evaluate("document.activeElement.id"), "summary");
  },
);

browserTest("a run's end is read out once, in a few words", async ({ flow, origin, open, work }) => {
  const { page } = await open();
  writeRows(flow, "inbox/bad.ndjson", [{ user_id: 7 }]);
  await page.goto(`${origin}/pipelines/nightly`);
  await page.locator("#param-messages input[type=checkbox]").check();
  await page.getByRole("button", { name: "Queue a run" }).click();
  await page.locator("#live[data-state=live]").waitFor();
  await page.evaluate(`
    globalThis.region = document.getElementById("run-status").parentElement;
    globalThis.heard = [region.textContent];
    new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
  `);
  await work();
  await page.getByRole("button", { name: "Retry what failed" }).waitFor();
  assert.equal(await page.evaluate("region.isConnected && region.role"), "status");
  const heard = await page.evaluate<string[]>("heard");
  assert.deepEqual([heard[0], heard.at(-1)], ["The run is queued", "The run failed"]);
  assert.equal(new Set(heard).size, heard.length, heard.join(", "));
  assert.equal(await page.locator("#summary [role=status]").count(), 0);
});

browserTest("a followed page leads to the login once the session has ended", async ({ origin, open }) => {
  const { page, context } = await open();
  await page.goto(`${origin}/login?to=%2F`);
  await page.getByLabel("API key").fill(KEY);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.locator("#live[data-state=live]").waitFor();
  await context.clearCookies();
  await hide(page, true);
  await hide(page, false);
  await page.waitForURL(`${origin}/login?to=%2F`);
}, { keys: [{ key: KEY, scopes: ["admin"] }], expected: /status of 401/ });

browserTest(
  "hours of a chart are the viewer's, also once the page has changed them",
  async ({ flow, origin, open, serving }) => {
    await nightlyRun(flow, SAMPLE);
    const now = Date.now();
    for (const minutes of [30, 15]) {
      serving.add(
        { ms: 5, error: false, hit: false, degraded: false },
        now - minutes * 60_000,
      );
    }
    const { page } = await open({ timezoneId: "Asia/Kolkata" });
    for (const path of ["/", "/stores"]) {
      await page.goto(origin + path);
      assert.ok(
        await page.getByRole("button", { name: "Theme: system" }).isVisible(),
        "the script has run to its end",
      );
    }
    await page.goto(origin);
    const hours = page.locator("#answers text[data-at]");
    const wanted = new Intl.DateTimeFormat("en-GB", { timeStyle: "short", timeZone: "Asia/Kolkata" });
    const check = async () => {
      assert.ok(await hours.count() > 0);
      for (const text of await hours.all()) {
        const at = new Date(await text.getAttribute("data-at") ?? "");
        assert.ok((await text.textContent())?.endsWith(wanted.format(at)), await text.textContent() ?? "");
      }
    };
    await check();
    serving.add({ ms: 9, error: false, hit: false, degraded: false }, now - 10 * 60_000);
    await page.locator("#answers circle").nth(8).waitFor({ state: "attached", timeout: 20_000 });
    await check();
  },
);

for (const { name, options } of LOOKS.filter(({ name }) => name === "phone-light")) {
  browserTest(`the current page is in view in the navigation (${name})`, async ({ origin, open }) => {
    for (const javaScriptEnabled of [true, false]) {
      const { page } = await open({ ...options, javaScriptEnabled });
      for (const path of ["/", "/engagement", "/stores"]) {
        await page.goto(origin + path);
        const box = await page.locator("header [aria-current]").boundingBox();
        assert.ok(box !== null && box.x >= 0 && box.x + box.width <= options.viewport!.width, path);
        assert.ok(box.y + box.height <= 160, `${path}: the navigation takes little room`);
      }
    }
  });
}

/** Puts the page into the background, as far as it can see, or back. */
function hide(page: Page, hidden: boolean): Promise<unknown> {
  return page.evaluate(
    `Object.defineProperty(document, "hidden", { configurable: true, value: ${hidden} });
     document.dispatchEvent(new Event("visibilitychange"))`,
  );
}
