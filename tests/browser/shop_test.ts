import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { command, until, withFolder } from "../fixtures/commands.ts";
import { ROOT } from "../fixtures/flow.ts";
import { NO_BROWSER, openBrowser } from "./browser.ts";
import { serious } from "./site.ts";

/** What a service and the shop print when they listen. */
const LISTENS = /http:\/\/127\.0\.0\.1:\d+/;

/** Starts a process, and gives its address. */
async function listening(process: Deno.Command) {
  const child = process.spawn();
  const { text, rest } = await until(child.stdout, LISTENS);
  const close = async () => {
    child.kill("SIGTERM");
    await Promise.all([rest(), child.status]);
  };
  return { url: LISTENS.exec(text)![0], close };
}

/** Runs with the sample's data, the shop and its page in a browser. */
async function withShop(body: (page: Page) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const shop = await listening(
      new Deno.Command("deno", { args: ["task", "shop", "0"], cwd: ROOT, stdout: "piped", stderr: "null" }),
    );
    const env = {
      PARLEY_PORT: "0",
      PARLEY_SCHEDULE: "off",
      PARLEY_LOG: "off",
      PARLEY_CORS_ORIGINS: shop.url,
    };
    const start = command(folder, "start", ["start"], { env });
    const browser = await openBrowser();
    try {
      const service = await listening(start);
      try {
        const page = await browser.newPage();
        const troubles: string[] = [];
        page.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
        page.on("pageerror", (error) => troubles.push(error.message));
        await page.goto(`${shop.url}/?api=${service.url}`);
        await body(page);
        assert.deepEqual(troubles, []);
      } finally {
        await service.close();
      }
    } finally {
      await browser.close();
      await shop.close();
    }
  });
}

Deno.test({
  name: "the example shop shows an answer that knows each dismissal, purchase and message at once",
  ignore: NO_BROWSER !== null,
  fn: () =>
    withShop(async (page) => {
      const titles = () => page.locator("#items h3").allTextContents();
      await page.locator("#items li").nth(4).waitFor();
      const before = await titles();
      assert.deepEqual(await serious(page), []);
      await page.getByRole("button", { name: "Not interested" }).first().click();
      await page.getByText("The answer knows it after").waitFor();
      assert.ok(!(await titles()).includes(before[0]!), "what was dismissed is gone");
      await page.getByRole("button", { name: "Open" }).nth(1).click();
      await page.getByText(/^Open: .* The answer knows it after/).waitFor();
      const [bought] = await titles();
      await page.getByRole("button", { name: "Buy" }).first().click();
      await page.getByText(`Buy: ${bought}. The answer knows it after`).waitFor();
      assert.ok(!(await titles()).includes(bought!), "what was bought is gone");
      await page.getByRole("button", { name: "Show more" }).click();
      await page.locator("#items li").nth(5).waitFor();
      const all = await titles();
      assert.equal(new Set(all).size, all.length, "the next page repeats nothing");
      await page.getByLabel("Tell us what you are looking for").fill(
        "do you still have the waterproof shells, tested on the tops?",
      );
      await page.getByRole("button", { name: "Send" }).click();
      await page.getByText("Sent. The answer knows it after").waitFor();
      assert.equal((await titles())[0], "Waterproof shells, tested on the tops");
    }),
});
