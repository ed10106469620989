/* Keeps a status page true: asks for it again every few seconds and changes only what changed.
   The page works without this file; all its words are in the HTML. */
(function () {
  "use strict";

  var main = document.getElementById("main");
  var live = document.getElementById("live");
  var lost = document.getElementById("lost");
  var pause = document.getElementById("pause");
  var icon = document.getElementById("icon");
  if (!main || !live || !window.fetch || !window.AbortController) return;

  var PATIENCE = 10000; // milliseconds until a server that says nothing counts as gone
  var HIDDEN = 60000; // between two looks in a tab that nobody sees: enough for its title and icon
  var timer = 0;
  var busy = false;
  var paused = false;
  var asked = Date.now();

  function period() {
    var seconds = parseFloat(main.getAttribute("data-refresh"));
    return seconds > 0 ? seconds * 1000 : 0;
  }

  function schedule() {
    clearTimeout(timer);
    document.body.classList.toggle("is-live", !paused && period() > 0);
    if (paused || !period()) return;
    var wait = document.hidden ? Math.max(HIDDEN, period()) : period();
    timer = setTimeout(refresh, Math.max(0, asked + wait - Date.now()));
  }

  function refresh() {
    clearTimeout(timer);
    if (busy) return;
    busy = true;
    asked = Date.now();
    var abort = new AbortController();
    var limit = setTimeout(function () { abort.abort(); }, PATIENCE);
    fetch(location.href.split("#")[0], {
      headers: { Accept: "text/html" }, cache: "no-store", credentials: "same-origin", signal: abort.signal
    }).then(function (response) { return response.text(); }).then(function (text) {
      var next = new DOMParser().parseFromString(text, "text/html");
      var fresh = next.getElementById("main");
      // An error page of a proxy, or a login form, is no answer.
      if (!fresh || !fresh.hasAttribute("data-state")) throw new Error("no status page");
      show(next, fresh);
    }).catch(gone).then(function () {
      clearTimeout(limit);
      busy = false;
      schedule();
    });
  }

  function show(next, fresh) {
    if (paused) return;
    localise(next);
    var focused = document.activeElement;
    var x = window.scrollX, y = window.scrollY;
    morph(main, fresh);
    var nextIcon = next.getElementById("icon");
    if (icon && nextIcon) set(icon, "href", nextIcon.getAttribute("href"));
    ["updated", "seen"].forEach(function (id) {
      var from = document.getElementById(id), to = next.getElementById(id);
      if (from && to) morph(from, to);
    });
    if (document.title !== next.title) document.title = next.title;
    reached(true);
    if (focused && focused !== document.activeElement && document.contains(focused)) focused.focus({ preventScroll: true });
    if (x !== window.scrollX || y !== window.scrollY) window.scrollTo(x, y);
  }

  function gone() {
    if (paused) return;
    reached(false);
    document.title = "? " + lost.querySelector("b").textContent;
    if (icon) set(icon, "href", main.getAttribute("data-lost"));
  }

  function reached(yes) {
    document.body.classList.toggle("is-lost", !yes);
    // Emptied and filled, as an alert is read out when its content comes.
    var words = lost.querySelector("p");
    if (words.hidden !== yes) words.hidden = yes;
  }

  function set(node, name, value) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }

  function key(node) {
    return node.nodeType === 1 ? node.id || node.getAttribute("data-key") || "" : "";
  }

  /* Make `from` like `to`, touching only what differs, so that scroll, focus and selection stay where they are. */
  function morph(from, to) {
    if (from.nodeType !== 1) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    if (from.hasAttribute("data-keep") || from.isEqualNode(to)) return;
    var isDetails = from.nodeName === "DETAILS"; // open or folded: that is the reader's choice
    var i, name;
    for (i = 0; i < to.attributes.length; i++) {
      name = to.attributes[i].name;
      if (!(isDetails && name === "open")) set(from, name, to.attributes[i].value);
    }
    for (i = from.attributes.length - 1; i >= 0; i--) {
      name = from.attributes[i].name;
      if (!to.hasAttribute(name) && !(isDetails && name === "open")) from.removeAttribute(name);
    }
    children(from, to);
  }

  function children(from, to) {
    var known = new Map();
    Array.prototype.forEach.call(from.children, function (child) {
      if (key(child)) known.set(child.nodeName + key(child), child);
    });
    var at = from.firstChild;
    Array.prototype.forEach.call(to.childNodes, function (want) {
      var have = null;
      if (key(want)) have = known.get(want.nodeName + key(want)) || null;
      else if (at && at.nodeName === want.nodeName && !key(at)) have = at;
      if (!have) {
        from.insertBefore(document.importNode(want, true), at);
        return;
      }
      if (have === at) at = at.nextSibling;
      else from.insertBefore(have, at);
      morph(have, want);
    });
    while (at) {
      var rest = at.nextSibling;
      from.removeChild(at);
      at = rest;
    }
  }

  /* Times as the reader's own clock shows them, with the name of its zone. */
  function localise(root) {
    var language = document.documentElement.lang || undefined;
    Array.prototype.forEach.call(root.querySelectorAll("time[data-clock], time[data-moment]"), function (node) {
      var when = new Date(node.getAttribute("datetime"));
      if (isNaN(when)) return;
      var today = node.hasAttribute("data-clock") && Math.abs(Date.now() - when) < 12 * 3600e3;
      node.title = node.textContent;
      node.textContent = today ? when.toLocaleTimeString(language, { timeStyle: "long" })
        : when.toLocaleString(language, { dateStyle: "medium", timeStyle: "long" });
    });
  }

  /* Put a check into the clipboard as a ticket needs it: what the page says of it, its address, and when that was seen. */
  function copy(button) {
    var card = button.closest("[id]");
    var parts = card.querySelectorAll("h3, .why, .components > :not(.pass)");
    var lines = Array.prototype.map.call(parts, function (part) { return part.innerText.trim().replace(/\s+/g, " "); });
    lines.push(location.href.split(/[?#]/)[0] + "#" + card.id);
    var seen = document.getElementById("updated"); // a project's own base may have none
    if (seen) lines.push(seen.getAttribute("datetime"));
    write(lines.filter(Boolean).join("\n"));
    var words = button.firstChild, label = words.data, copied = main.getAttribute("data-copied");
    if (!copied || label === copied) return;
    words.data = copied;
    setTimeout(function () { words.data = label; }, 2000);
  }

  /* As browsers have no navigator.clipboard over plain HTTP, this is the older way. */
  function write(text) {
    var focused = document.activeElement;
    var field = document.body.appendChild(document.createElement("textarea"));
    field.value = text;
    field.select();
    document.execCommand("copy");
    field.remove();
    focused.focus({ preventScroll: true });
  }

  if (pause) {
    pause.hidden = !period();
    pause.addEventListener("click", function () {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      live.setAttribute("data-state", paused ? "paused" : "on");
      if (paused) schedule();
      else refresh();
    });
  }
  main.addEventListener("click", function (event) {
    var button = event.target.closest(".copy");
    if (button) copy(button);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden || paused || !period()) schedule();
    else if (Date.now() - asked >= period()) refresh();
    else schedule();
  });
  window.addEventListener("online", function () { if (!paused && period()) refresh(); });
  window.addEventListener("pageshow", function (event) { if (event.persisted && !paused && period()) refresh(); });

  document.body.classList.add("has-script");
  localise(document);
  schedule();
})();
