import assert from "node:assert/strict";
import { browserTest } from "./site.ts";

browserTest(
  "/docs shows each operation without a network but this service, and sends a request",
  async ({ origin, open }) => {
    const { page } = await open({ viewport: { width: 1280, height: 900 } });
    await page.goto(`${origin}/docs`);
    await page.getByRole("heading", { name: "Parley" }).waitFor();
    const { paths } = await (await fetch(`${origin}/openapi.json`)).json();
    const operations = Object.values<Record<string, { summary: string }>>(paths).flatMap(Object.values);
    for (const { summary } of operations) {
      await page.getByRole("link", { name: summary }).first().waitFor();
    }
    await page.getByRole("link", { name: "Whether the process is up" }).first().click();
    await page.locator("section", { hasText: "/healthz" }).getByRole("button", { name: /Test Request/ })
      .last().click();
    await page.getByRole("button", { name: "Send get request" }).click();
    await page.getByText("uptime_s").last().waitFor();
    assert.ok(operations.length > 5);
  },
);
