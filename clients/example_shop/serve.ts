/**
 * Serves the example shop on http://127.0.0.1:8080, or on the port that is given; its script is bundled at the start.
 *
 *     deno task shop
 */
const FILES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/shop.css": ["shop.css", "text/css; charset=utf-8"],
};
const path = (file: string) => decodeURIComponent(new URL(file, import.meta.url).pathname);

const { success, stdout, stderr } = await new Deno.Command("deno", {
  args: ["bundle", "--quiet", "--platform", "browser", path("shop.ts")],
}).output();
if (!success) {
  console.error(new TextDecoder().decode(stderr));
  Deno.exit(1);
}

Deno.serve({
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 8080),
  onListen: ({ port }) =>
    console.log(
      `The shop is at http://127.0.0.1:${port}. Start Parley with PARLEY_CORS_ORIGINS=http://127.0.0.1:${port}`,
    ),
}, async ({ url }) => {
  const { pathname } = new URL(url);
  if (pathname === "/shop.js") {
    return new Response(stdout, { headers: { "content-type": "text/javascript; charset=utf-8" } });
  }
  const [file, type] = FILES[pathname] ?? [];
  if (file === undefined || type === undefined) return new Response("nothing is here", { status: 404 });
  return new Response(await Deno.readFile(path(file)), { headers: { "content-type": type } });
});
