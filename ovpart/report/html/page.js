"use strict";
// The table of nodes: made from the data block, as text alone. Nothing here puts markup together.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const AT_ONCE = 200;
  const body = document.querySelector("#nodes tbody");
  const status = document.getElementById("status");
  const more = document.getElementById("more");
  const word = document.getElementById("word");
  const place = document.getElementById("place");
  const state = document.getElementById("state");
  const cluster = document.getElementById("cluster");
  const timed = data.rows.length > 0 && data.rows[0].length > 10;
  const NUMBER = 0, NAME = 1, KEY = 2, OP = 3, TYPES_IN = 4, TYPES_OUT = 5, PLACE = 6, CLUSTER = 7, VERDICT = 8,
    SCOPE = 9, MICROSECONDS = 10, LEADER = 11;
  const told = data.rows.map(function (row) {
    const verdict = data.verdicts[row[VERDICT]];
    return [row[NAME], row[KEY] || "", data.ops[row[OP]], data.places[row[PLACE]], data.scopes[row[SCOPE]],
      verdict.join(" "), data.types[row[TYPES_OUT]], row[LEADER] || ""].join(" ").toLowerCase();
  });
  let found = [];
  let shown = 0;
  let order = { column: NUMBER, up: true };

  function value(row, column) {
    if (column === NAME) { return row[NAME].toLowerCase(); }
    if (column === OP) { return data.ops[row[OP]].toLowerCase(); }
    if (column === PLACE) { return data.places[row[PLACE]]; }
    if (column === VERDICT) { return data.verdicts[row[VERDICT]].slice(0, 2).join(" "); }
    if (column === MICROSECONDS) { return row[MICROSECONDS] === null ? -1 : row[MICROSECONDS]; }
    return row[column];
  }

  function find() {
    const words = word.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = cluster.value.trim();
    found = [];
    data.rows.forEach(function (row, index) {
      if (place.value !== "" && row[PLACE] !== Number(place.value)) { return; }
      if (state.value !== "" && data.verdicts[row[VERDICT]][0] !== state.value) { return; }
      if (wanted !== "" && (row[CLUSTER] !== Number(wanted) || row[SCOPE] !== 0)) { return; }
      if (words.every(function (one) { return told[index].includes(one); })) { found.push(row); }
    });
    const sign = order.up ? 1 : -1;
    found.sort(function (a, b) {
      const left = value(a, order.column), right = value(b, order.column);
      return left < right ? -sign : left > right ? sign : a[NUMBER] - b[NUMBER];
    });
    body.textContent = "";
    shown = 0;
    show();
  }

  function cell(row, text, kind) {
    const made = document.createElement("td");
    made.textContent = text;
    if (kind) { made.className = kind; }
    row.appendChild(made);
    return made;
  }

  function under(parent, text, kind) {
    const made = document.createElement("div");
    made.textContent = text;
    made.className = kind;
    parent.appendChild(made);
  }

  function microseconds(us) {
    if (us >= 1000) { return (us / 1000).toPrecision(3) + " ms"; }
    return (us >= 10 ? us.toFixed(0) : us.toFixed(1)) + " µs";
  }

  function show() {
    const part = document.createDocumentFragment();
    found.slice(shown, shown + AT_ONCE).forEach(function (row) {
      const line = document.createElement("tr");
      const verdict = data.verdicts[row[VERDICT]];
      cell(line, row[NUMBER], "n");
      const name = cell(line, row[NAME]);
      if (row[KEY]) { under(name, "makes " + row[KEY], "faint"); }
      if (row[SCOPE]) { under(name, "in " + data.scopes[row[SCOPE]], "faint"); }
      cell(line, data.ops[row[OP]]);
      cell(line, data.types[row[TYPES_IN]] + " → " + data.types[row[TYPES_OUT]], "rule");
      cell(line, data.places[row[PLACE]]);
      cell(line, row[CLUSTER] || "–", "n");
      const why = cell(line, "");
      under(why, verdict[0], verdict[0]);
      under(why, verdict[4] || verdict[1], "");
      under(why, verdict[2], "rule faint");
      if (verdict[3]) { under(why, "→ " + verdict[3], ""); }
      if (timed) {
        const time = cell(line, row[MICROSECONDS] === null ? "–" : microseconds(row[MICROSECONDS]), "n");
        if (row[LEADER]) { under(time, "within " + row[LEADER], "faint"); }
      }
      part.appendChild(line);
    });
    body.appendChild(part);
    shown = Math.min(found.length, shown + AT_ONCE);
    status.textContent = found.length + " of " + data.rows.length + " nodes, " + shown + " shown";
    more.hidden = shown >= found.length;
  }

  data.places.forEach(function (name, index) {
    const option = document.createElement("option");
    option.value = index;
    option.textContent = name;
    place.appendChild(option);
  });
  [word, place, state, cluster].forEach(function (field) { field.addEventListener("input", find); });
  more.addEventListener("click", show);
  document.querySelectorAll("#nodes th button").forEach(function (button) {
    button.addEventListener("click", function () {
      const column = Number(button.dataset.column);
      order = { column: column, up: order.column === column ? !order.up : column !== MICROSECONDS };
      document.querySelectorAll("#nodes th").forEach(function (head) { head.removeAttribute("aria-sort"); });
      button.parentElement.setAttribute("aria-sort", order.up ? "ascending" : "descending");
      find();
    });
  });
  document.querySelectorAll("a[data-cluster]").forEach(function (link) {
    link.addEventListener("click", function () {
      word.value = ""; place.value = ""; state.value = "";
      cluster.value = link.dataset.cluster;
      find();
    });
  });
  function unfold() {
    const aim = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (aim && aim.tagName === "DETAILS") { aim.open = true; }
  }
  window.addEventListener("hashchange", unfold);
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (part) { part.open = true; });
  });
  document.getElementById("find").hidden = false;
  unfold();
  find();
})();
