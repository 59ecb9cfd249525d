// The screen stays on in hands-free, while the page is seen.

/** @type {Promise<WakeLockSentinel | null> | null} */
let held = null;

/** @param {boolean} isWanted */
export function keepAwake(isWanted) {
  if (isWanted && !document.hidden) {
    held ??= navigator.wakeLock?.request("screen").catch(() => null) ?? null;
  } else {
    held?.then((lock) => lock?.release());
    held = null;
  }
}
