// Sets the theme before anything is painted. Not a module, as those run later.
"use strict";
{
  let theme = null;
  try {
    theme = localStorage.getItem("mqhook-theme");
  } catch {
    // No storage: the system's theme.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
