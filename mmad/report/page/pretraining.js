"use strict";
// The page of a pre-training: how the error of reconstruction falls, what the features know, and
// what the network paints.

const content = JSON.parse(find("content").textContent);
const errorsTop = (values) => roundTop(1.02 * Math.max(1e-6, ...values.filter(isKnown)));

function curveOf({ title, note, x, values, unit, top, digits }) {
  return card(title, note, (width) => lineChart(width, { x, lines: { [title]: values }, colours: [BLUE], top: top ?? errorsTop(values), unit, digits, name: title, xName: "step", from: 0, to: content.last_step }));
}

drawHead(content.facts, content.tiles);
find("curves").replaceChildren(...content.curves.map(curveOf));
if (content.image) {
  find("image").src = content.image;
  find("about-clips").textContent = content.about_image;
  for (const id of ["clips", "to-clips"]) find(id).hidden = false;
}
connectTheme();
