import { LOOKS, openBrowser } from "./browser.ts";

/**
 * Writes a picture of each path in each look: `deno run --allow-all tests/browser/screenshots.ts URL FOLDER PATH…`.
 * A path may be `name=/path?query`.
 */
const [origin = "", folder = "", ...paths] = Deno.args;
await Deno.mkdir(folder, { recursive: true });
const browser = await openBrowser();
for (const { name, options } of LOOKS) {
  const context = await browser.newContext({ ...options, locale: "en-GB", timezoneId: "Europe/Berlin" });
  const page = await context.newPage();
  for (const given of paths) {
    const [, title = "", path = given] = /^([\w-]+)=(.*)$/.exec(given) ?? [];
    await page.goto(origin + path, { waitUntil: "load" });
    await page.waitForTimeout(300);
    const file = `${title || path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "overview"}-${name}.png`;
    await page.screenshot({ path: `${folder}/${file}`, fullPage: true });
    console.log(file);
  }
  await context.close();
}
await browser.close();
