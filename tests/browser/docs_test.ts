import assert from "node:assert/strict";
import { browserTest } from "./site.ts";

browserTest(
  "/docs shows each operation without a network but this service, and sends a request",
  async ({ origin, open }) => {
    const { page } = await open({ viewport: { width: 1280, height: 900 } });
    await page.goto(`${origin}/docs`);
    await page.getByRole("heading", { name: "Parley" }).first().waitFor();
    const { paths } = await (await fetch(`${origin}/openapi.json`)).json();
    const operations = Object.values<Record<string, { summary: string }>>(paths).flatMap(Object.values);
    for (const { summary } of operations) await page.getByText(summary, { exact: true }).first().waitFor();
    const health = page.locator(".opblock", { hasText: "Whether the process is up" });
    await health.getByRole("button").first().click();
    await health.getByRole("button", { name: "Try it out" }).click();
    await health.getByRole("button", { name: "Execute" }).click();
    await health.locator(".live-responses-table").getByText("uptime_s").first().waitFor();
    assert.ok(operations.length > 5);
  },
);
