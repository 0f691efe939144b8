import { existsSync } from "node:fs";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/** Debian's and Ubuntu's package `chromium`; another one by `PARLEY_TEST_CHROMIUM`. */
export const CHROMIUM = Deno.env.get("PARLEY_TEST_CHROMIUM") ?? "/usr/bin/chromium";

/** Why browser tests are skipped; null with a browser. */
export const NO_BROWSER = existsSync(CHROMIUM) ? null : `${CHROMIUM} is not there: apt-get install chromium`;

export async function openBrowser(): Promise<Browser> {
  const { chromium } = await import("playwright-core");
  return await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
}

/** The ways in which each page is looked at. */
export const LOOKS: readonly { readonly name: string; readonly options: BrowserContextOptions }[] = [
  { name: "desktop-light", options: { viewport: { width: 1280, height: 800 }, colorScheme: "light" } },
  { name: "desktop-dark", options: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" } },
  {
    name: "phone-light",
    options: { viewport: { width: 360, height: 740 }, colorScheme: "light", isMobile: true, hasTouch: true },
  },
  {
    name: "phone-dark",
    options: { viewport: { width: 360, height: 740 }, colorScheme: "dark", isMobile: true, hasTouch: true },
  },
];

/** What goes wrong in a page unasked: errors on its console, uncaught ones, and requests that leave the origin. */
export function watch(page: Page, origin: string, expected: RegExp = /$^/): string[] {
  const troubles: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected.test(message.text())) {
      troubles.push(`console: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => troubles.push(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const { origin: to } = new URL(request.url());
    if (to !== origin) troubles.push(`left the origin: ${request.url()}`);
  });
  return troubles;
}
