/** Said in the place of what could not be read. `error` names the failure and no data. */
export function StoreUnavailable({ what, error }: { what: string; error: string | null }) {
  return (
    <p class="warning" role="note">
      {what} did not answer{error !== null && (
        <>
          {" "}(<code>{error}</code>)
        </>
      )}: <code>deno task doctor</code> says what is down.
    </p>
  );
}
