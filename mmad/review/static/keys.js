// Keys; they are left to fields and dialogs while those have the focus.

const PLAIN = {
  a: "accept", x: "reject", r: "relabel", s: "split", m: "merge", n: "next", p: "previous",
  l: "loop", h: "half", d: "draw", w: "reviewed", c: "curves", f: "zoom-selected", 0: "zoom-all", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out",
  " ": "play", ",": "back", ".": "ahead", ArrowLeft: "back", ArrowRight: "ahead", ArrowUp: "up", ArrowDown: "down",
  Delete: "delete", Backspace: "delete", Escape: "escape", "?": "help",
  1: "startEarlier", 2: "startLater", 3: "endEarlier", 4: "endLater", "[": "startHere", "]": "endHere",
};
const FIELDS = "input:not([type=checkbox]), select, textarea, [contenteditable]";

function commandOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" ? "redo" : null;
  }
  if (event.altKey) return null;
  if (event.shiftKey && key === "ArrowLeft") return "secondBack";
  if (event.shiftKey && key === "ArrowRight") return "secondAhead";
  if (event.shiftKey && key === "w") return "unreviewed";
  return PLAIN[key] ?? null;
}

export function listenToKeys(commands) {
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.matches?.(FIELDS)) return;
    // Space and Enter press the button or box that has the focus.
    if (event.key === " " && event.target.matches?.("button, input")) return;
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    // A key that is held repeats only what is safe to repeat.
    const repeats = /^(back|ahead|second|start|end|up|down|zoom)/.test(command);
    if (!event.repeat || repeats) commands[command]();
  });
}
