import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gradeExam, readExam, readExamCampaigns } from "../../fixtures/negation_exam.ts";

Deno.test("the negation exam is split by the hash of its messages, and its labels are names of its campaigns", async () => {
  const campaigns = await readExamCampaigns();
  const names = new Set(campaigns.flatMap(({ title, category, tags }) => [title, category, ...tags]));
  for (const half of ["development", "final"] as const) {
    for (const { messages, negative } of await readExam(half)) {
      const [byte] = createHash("sha256").update(messages.join("\n")).digest();
      assert.equal(byte! % 2 === 0 ? "development" : "final", half, messages[0]);
      for (const name of negative) assert(names.has(name), name);
    }
  }
});

for (const half of ["development", "final"] as const) {
  Deno.test(`negations of the ${half} half of the exam are found with a precision of .95 and a recall of .85`, async () => {
    const { precision, recall, errors } = await gradeExam(half);
    assert.ok(precision >= 0.95 && recall >= 0.85, JSON.stringify({ precision, recall, errors }, null, 1));
  });
}
