// Times and names as the page shows them.

export function clock(seconds, digits = 2) {
  const sign = seconds < 0 ? "-" : "";
  const scale = 10 ** digits;
  const rounded = Math.round(Math.abs(seconds) * scale) / scale;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${sign}${hours ? `${hours}:${String(minutes).padStart(2, "0")}` : minutes}:${rest}`;
}

export function stateOf(item) {
  return item.state === "accepted" && item.detection === null ? "drawn" : item.state;
}

export function spoken(item, behaviour) {
  const score = item.score === null ? "" : `, score ${item.score.toFixed(2)}`;
  const by = item.annotator ? ` by ${item.annotator}` : "";
  return `${behaviour.title}, ${clock(item.start)} to ${clock(item.end)}${score}, ${stateOf(item)}${by}`;
}
