"use strict";
// What makes pages livelier. Every page is whole without it.

// A form with data-expected: the part of the page named by data-into follows while somebody types.
for (const form of document.querySelectorAll("form[data-expected]")) {
  const into = document.getElementById(form.dataset.into);
  const plain = form.querySelector("[data-unlivened]");
  let waiting = 0;
  let newest = 0;
  if (plain) plain.hidden = true;
  const follow = async () => {
    const mine = ++newest;
    const typed = new URLSearchParams([...new FormData(form)].filter(([name]) => name.startsWith("p.")));
    const answer = await fetch(`${form.dataset.expected}?${typed}`, { headers: { Accept: "text/html" } });
    if (answer.status === 401) location.reload();
    if (answer.ok && mine === newest) into.innerHTML = await answer.text();
  };
  form.addEventListener("input", () => {
    // Marks of what was sent are not of what is typed now; the part that follows tells what is wrong with that.
    for (const mark of form.querySelectorAll(".fault")) mark.remove();
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    clearTimeout(waiting);
    waiting = setTimeout(follow, 200);
  });
}

// A form that was sent says so, and is not sent twice.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    const working = form.querySelector(".working");
    if (working) working.hidden = false;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // what a browser kept is of another moment
});
