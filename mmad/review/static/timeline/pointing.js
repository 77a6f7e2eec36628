// Mouse, pen and fingers on the timeline.

import { selectedItem, store } from "../store.js";

const HANDLE = { mouse: 6, pen: 8, touch: 18 };

export function listenToPointers(timeline) {
  const { body, head, on } = timeline;
  const pointers = new Map();
  let gesture = null;

  const place = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top + (canvas === body ? timeline.box.scrollTop : 0)];
  };
  const rowAt = (y) => Object.keys(timeline.rows).find((name) => {
    const [top, height] = timeline.rows[name];
    return y >= top && y < top + height;
  });

  // Whether a point is at an edge of the selected item: "start", "end" or null.
  function edgeAt(x, y, kind) {
    const item = selectedItem();
    if (!item || item.annotator || !timeline.places.has(item.behaviour)) return null;
    if (Math.floor(y / timeline.laneHeight) !== timeline.places.get(item.behaviour)) return null;
    const reach = HANDLE[kind] ?? HANDLE.mouse;
    const distances = [["start", x - timeline.x(item.start)], ["end", x - timeline.x(item.end)]];
    // Between the edges of a short one, the nearer edge; the middle stays for selecting.
    const near = distances.filter(([, far]) => Math.abs(far) <= reach).sort((a, b) => Math.abs(a[1]) - Math.abs(b[1]));
    return near[0]?.[0] ?? null;
  }

  function itemAt(x, y) {
    const items = timeline.items.get(timeline.lanes[Math.floor(y / timeline.laneHeight)]) ?? [];
    const found = items.filter((one) => timeline.x(one.start) - 4 <= x
      && x <= Math.max(timeline.x(one.end), timeline.x(one.start) + 2) + 4);
    if (!found.length) return null;
    found.sort((a, b) => (a.end - a.start) - (b.end - b.start));
    const chosen = found.findIndex((one) => one.key === store.selected);
    return found[(chosen + 1) % found.length];
  }

  function down(event, canvas) {
    if (event.button > 0 || !store.video) return;
    const [x, y] = place(event, canvas);
    pointers.set(event.pointerId, [x, y]);
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      timeline.drawn = timeline.marked = null;
      gesture = { kind: "pinch", distance: Math.max(10, Math.abs(a[0] - b[0])) };
      return;
    }
    const seconds = timeline.snap(timeline.time(Math.max(x, timeline.gutter)));
    const edge = canvas === body ? edgeAt(x, y, event.pointerType) : null;
    if (edge) gesture = { kind: "edge", edge, x, grab: timeline.time(x) - selectedItem()[edge], moved: false };
    else if (canvas === body) gesture = { kind: "press", x, y, last: x, moved: false };
    else if (rowAt(y) === "fresh") gesture = { kind: "draw", start: seconds };
    else if (rowAt(y) === "reviewed") {
      // From a place that was looked at, dragging takes that back.
      const isReviewed = !store.reviewed.some(([start, end, isBlind]) => !isBlind && start <= seconds && seconds < end);
      gesture = { kind: "mark", start: seconds, isReviewed };
    } else {
      gesture = { kind: "scrub" };
      on.onSeek(timeline.time(x));
    }
  }

  function hover(event, canvas, x, y) {
    const edge = canvas === body ? edgeAt(x, y, event.pointerType) : null;
    const isDrawn = canvas === head && ["fresh", "reviewed"].includes(rowAt(y));
    const cursor = edge ? "ew-resize" : isDrawn ? "crosshair" : "pointer";
    if (canvas.style.cursor !== cursor) canvas.style.cursor = cursor;
  }

  function move(event, canvas) {
    const [x, y] = place(event, canvas);
    if (!pointers.has(event.pointerId)) return hover(event, canvas, x, y);
    pointers.set(event.pointerId, [x, y]);
    if (gesture?.kind === "pinch") {
      const [a, b] = [...pointers.values()];
      const distance = Math.max(10, Math.abs(a[0] - b[0]));
      timeline.zoom(gesture.distance / distance, timeline.time((a[0] + b[0]) / 2));
      gesture.distance = distance;
    } else if (gesture?.kind === "edge") {
      gesture.moved ||= Math.abs(x - gesture.x) > 2;
      if (gesture.moved) on.onEdge(gesture.edge, timeline.time(x) - gesture.grab, false);
    } else if (gesture?.kind === "draw") {
      timeline.drawn = [gesture.start, timeline.snap(timeline.time(x))];
      on.onSeek(timeline.time(x));
      timeline.redrawHead();
    } else if (gesture?.kind === "mark") {
      timeline.marked = [gesture.start, timeline.snap(timeline.time(x)), gesture.isReviewed];
      on.onSeek(timeline.time(x));
      timeline.redrawHead();
    } else if (gesture?.kind === "scrub") {
      on.onSeek(timeline.time(x));
    } else if (gesture?.kind === "press") {
      gesture.moved ||= Math.abs(x - gesture.x) > 4;
      if (gesture.moved) timeline.pan(timeline.time(gesture.last) - timeline.time(x));
      gesture.last = x;
    }
  }

  function up(event, canvas) {
    if (!pointers.delete(event.pointerId)) return;
    const [x, y] = place(event, canvas);
    const done = gesture;
    gesture = null;
    const span = (timeline.drawn ?? timeline.marked)?.slice(0, 2).sort((a, b) => a - b);
    timeline.drawn = timeline.marked = null;
    timeline.redraw();
    if (done?.kind === "edge") on.onEdge(done.edge, done.moved ? timeline.time(x) - done.grab : null, true);
    else if (done?.kind === "draw" && span && span[1] > span[0]) on.onDraw(...span);
    else if (done?.kind === "mark" && span && span[1] > span[0]) on.onReviewed(...span, done.isReviewed);
    else if (done?.kind === "mark" || done?.kind === "draw") on.onSeek(timeline.time(x));
    else if (done?.kind === "press" && !done.moved) {
      const item = itemAt(x, y);
      if (item) on.onSelect(item);
      else if (x >= timeline.gutter) on.onSeek(timeline.time(x));
    }
  }

  function cancel(event) {
    if (event) pointers.delete(event.pointerId);
    else pointers.clear();
    const dropped = gesture;
    gesture = timeline.drawn = timeline.marked = null;
    if (dropped?.kind === "edge") on.onEdge(dropped.edge, null, true);
    timeline.redraw();
  }

  function wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey && Math.abs(event.deltaY) >= Math.abs(event.deltaX)) return;
    event.preventDefault();
    const [x] = place(event, body);
    if (event.ctrlKey || event.metaKey) timeline.zoom(Math.exp(event.deltaY * 0.004), timeline.time(x));
    else timeline.pan(((event.deltaX || event.deltaY) / timeline.width) * (timeline.view[1] - timeline.view[0]));
  }

  for (const canvas of [head, body]) {
    canvas.addEventListener("pointerdown", (event) => down(event, canvas));
    canvas.addEventListener("pointermove", (event) => move(event, canvas));
    canvas.addEventListener("pointerup", (event) => up(event, canvas));
    canvas.addEventListener("pointercancel", cancel);
    canvas.addEventListener("wheel", wheel, { passive: false });
  }
  return cancel;
}
