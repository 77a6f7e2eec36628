"use strict";
// The figures of a detector, each with a sentence on how to read it.

const inPercent = (values) => values.map((value) => (isKnown(value) ? 100 * value : null));

function drawFigures(content, levelName, { press }) {
  const level = content.levels[levelName];
  const colours = content.colours;
  const perBucket = (key, total, name) => Object.entries(content.buckets).map(([bucket, { title, names }]) => card(
    title[0].toUpperCase() + title.slice(1), null,
    (width) => barChart(width, { names, values: inPercent(level[key][bucket]), unit: " %", name: `${name} by ${title}`, dashed: 100 * total }),
  ));
  const names = (index) => level.labels[index];
  const confused = level.confusions.map(([a, d, value, same]) => ({ name: `${names(a)} → ${names(d)}`, value, colour: colours[same ? 2 : 1], press: () => press(a, "wrong label") }));
  const classes = level.classes.filter((row) => row.annotations).sort((a, b) => b.annotations - a.annotations).slice(0, 20).map((row) => ({ name: row.name, value: row.annotations }));
  const groups = [
    ["How good are the detections?", null, [
      card("mAP by tIoU", "How mAP falls as a detection has to overlap its annotation more closely.", (width) => lineChart(width, { x: content.tiou, lines: { mAP: inPercent(level.map) }, colours: [BLUE], top: Math.min(100, roundTop(100 * Math.max(...level.map, 0.01))), unit: " %", digits: 2, name: "mAP by tIoU", xName: "tIoU that counts as a match", from: 0, to: 1 })),
      card("What the best detections are", "Ranked by score: 1G is as many detections of each class as it has annotations, 2G the next as many.", (width) => stackedChart(width, { names: level.false_positives.map((_, i) => `${i + 1}G`), rows: level.false_positives.map(inPercent), parts: content.outcomes, colours, name: "types of detections by rank", xName: "rank by score" }), { legend: legendOf(content.outcomes, colours) }),
      card("What fixing each error would gain", `Points of normalised mAP (now ${percent(level.base, 1)} %) if all detections with this error were gone.`, (width) => rowChart(width, { rows: content.outcomes.slice(1).map((name, i) => ({ name, value: 100 * level.gain[i], colour: colours[i + 1] })), digits: 1, name: "gain by type of error" })),
    ]],
    ["Which annotations are missed?", "Share of the annotations that no detection of their class finds. Dashed: of all annotations.", perBucket("false_negatives", level.missed, "missed")],
    ["Which are found best?", "Normalised mAP if only these annotations counted. Dashed: of all annotations.", perBucket("sensitivity", level.sensitivity_base, "normalised mAP")],
    ["What is taken for what?", null, [
      card("Most confused", "Annotated → detected, at the right time; purple: of one body part, blue: of two. Press a pair to see its videos.", (width) => rowChart(width, { rows: confused, name: "confused pairs" }), { wide: true }),
      card("Missed when actions overlap", "Share of annotations that are missed, by what else is annotated at the same time.", (width) => rowChart(width, { rows: content.co_occurrences.map((name, i) => ({ name, value: inPercent(level.co_occurrence)[i], colour: BLUE })), unit: " %", digits: 1, name: "missed by co-occurrence" })),
    ]],
    ["Are times and scores right?", null, [
      ...["start", "end"].map((key) => card(`Where detections ${key}`, `True positives: left of 0 they ${key} too early, right of it too late; mean ${shown(level.boundaries[key].mean, 2)} s.`, (width) => histogram(width, { ...level.boundaries[key], name: `errors of ${key}s`, xName: "detected minus annotated, seconds" }))),
      card("Can scores be trusted?", `On the dashed line a score of 0.7 would be right in 7 of 10 cases. Mean distance (expected calibration error): ${shown(level.calibration.error, 2)}.`, (width) => lineChart(width, { x: level.calibration.score, lines: { "share that is right": level.calibration.precision }, colours: [BLUE], top: 1, diagonal: true, name: "precision by score", xName: "mean score", from: 0, to: 1, digits: 2 })),
    ]],
    ["What is annotated?", null, [
      card("How often", classes.length === 20 ? "Annotations of the 20 most frequent classes." : "Annotations of each class.", (width) => rowChart(width, { rows: classes, name: "annotations of each class" }), { wide: true }),
      card("How long", `Mean ${shown(content.lengths.mean, 2)} s; the last bar holds all longer ones, too.`, (width) => histogram(width, { ...content.lengths, name: "lengths", xName: "seconds" })),
    ]],
  ];
  return groups.flatMap(([title, note, cards]) => [make("h3", { class: "group-title" }, title), note ? make("p", { class: "note" }, note) : null, make("div", { class: "charts" }, ...cards)]).filter(Boolean);
}
