import type { View } from "../http/page.ts";
import type { Problem } from "../http/problem.ts";
import { InlineCode } from "./inline_code.tsx";

export function errorPage({ status, title, detail, instance }: Problem): View {
  return {
    title: status === 404 ? "Not found" : title,
    status,
    body: (
      <div class="card">
        <p class="lead">
          <InlineCode text={detail} />
        </p>
        {status >= 500 && (
          <p>
            The log of the service has more, under <code>{instance}</code>. Trying again may help.
          </p>
        )}
        <p>
          <a href="/">To the overview</a>
        </p>
      </div>
    ),
  };
}
