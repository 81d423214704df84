// Elements without innerHTML: text from jobs only ever becomes text.

/** element("p", "mlt-stage", "loading") → <p class="mlt-stage">loading</p> */
export function element(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Sets the text and hides the element when there is none. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}
