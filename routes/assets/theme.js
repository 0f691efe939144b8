// Runs before anything is painted, so that a theme that was chosen never flashes up late.
{
  const stored = localStorage.getItem("theme");
  if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;
}
