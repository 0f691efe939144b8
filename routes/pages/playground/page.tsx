import { ParleyError } from "../../../lib/core/errors.ts";
import { sentence } from "../../../lib/core/text.ts";
import { REDUNDANCY_COST } from "../../../lib/recommend/diversify.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import type { PageRequest, View } from "../../http/page.ts";
import { tryRead } from "../../http/try_read.ts";
import { compare, type Comparison, emptyTrial, type Trial, trialOf } from "./data.ts";
import { Compared, TrialForm } from "./parts.tsx";

/** `GET /playground`: a form for a conversation and weights of sources. */
export async function playground(request: PageRequest): Promise<View> {
  const { value } = await tryRead(() => request.context.recommender.weights());
  return view(request, emptyTrial(value ?? WEIGHTS, REDUNDANCY_COST), null);
}

/** `POST /playground`: the answer to the conversation by the given weights, next to that of now. Nothing is stored. */
export async function tryOut(request: PageRequest): Promise<View> {
  const trial = trialOf(request);
  const result = await compare(request, trial).catch((error) => {
    if (error instanceof ParleyError && error.code === "unavailable") return { problem: error.message };
    throw error;
  });
  return view(request, trial, result);
}

function view(
  request: PageRequest,
  trial: Trial,
  result: Comparison | { readonly problem: string } | null,
): View {
  const problem = result !== null && "problem" in result ? result.problem : null;
  return {
    title: "Playground",
    body: (
      <>
        <TrialForm session={request.session} trial={trial} />
        {problem !== null && <p class="warning" role="alert">{sentence(problem)}</p>}
        {result !== null && !("problem" in result) && <Compared request={request} comparison={result} />}
      </>
    ),
    ...problem === null ? {} : { status: 400 },
  };
}
