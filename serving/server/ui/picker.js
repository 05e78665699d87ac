// A list of items to type, or to pick by title: what is picked as a list, and a combobox (ARIA 1.2) that suggests more.

import * as api from "/ui/api.js";

let pickers = 0;

function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Picks items. `element` is what to show, `ids` what is picked; `changed` is called when that changes. */
export class ItemPicker {
  #ids = [];
  #options = [];
  #active = -1;
  #asked = 0;

  constructor({ label, hint, hasTitles, changed }) {
    const id = `picker-${++pickers}`;
    this.changed = changed;
    this.hasTitles = hasTitles;
    this.chosen = element("ol", { className: "chosen" });
    this.chosen.setAttribute("aria-label", `${label}: chosen`);
    this.input = element("input", { id, type: "text", autocomplete: "off", spellcheck: false });
    this.input.placeholder = hasTitles ? "a title, or ids: a,b,c" : "a,b,c";
    this.list = element("ul", { id: `${id}-list`, className: "options", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", `${label}: suggestions`);
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
      "aria-describedby": `${id}-hint`,
    })) {
      this.input.setAttribute(name, value);
    }
    this.element = element("div", { className: "picker" }, [
      element("label", { htmlFor: id, textContent: label }),
      element("span", { id: `${id}-hint`, className: "hint", textContent: hint }),
      this.chosen,
      element("div", { className: "combobox" }, [this.input, this.list]),
    ]);
    this.input.addEventListener("input", () => this.#suggest());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#close());
  }

  get ids() {
    return [...this.#ids];
  }

  set ids(ids) {
    this.#ids = [...ids];
    this.#show();
  }

  /** Takes over what is typed: ids between commas. Returns whether there was something. */
  commit() {
    const typed = this.input.value.split(",").map((id) => id.trim()).filter(Boolean);
    if (typed.length) this.#add(typed);
    return typed.length > 0;
  }

  #add(ids) {
    this.input.value = "";
    this.#close();
    this.ids = [...this.#ids, ...ids];
    this.changed();
  }

  #remove(place) {
    this.ids = this.#ids.filter((_, index) => index !== place);
    this.changed();
    this.input.focus();
  }

  async #show() {
    const ids = this.ids;
    const titles = this.hasTitles ? await api.titles(ids).catch(() => ({})) : {};
    if (ids.join("\n") !== this.#ids.join("\n")) return; // a newer list is on its way
    this.chosen.replaceChildren(
      ...ids.map((id, place) => {
        const remove = element("button", { type: "button", textContent: "×", title: "Remove" });
        remove.setAttribute("aria-label", `Remove ${titles[id] || id}`);
        remove.addEventListener("click", () => this.#remove(place));
        const name = element("span", { textContent: titles[id] || id, title: id });
        return element("li", {}, [name, remove]);
      }),
    );
  }

  async #suggest() {
    const asked = ++this.#asked;
    const text = this.input.value;
    if (!this.hasTitles || !text.trim() || text.includes(",")) return this.#close();
    const found = await api.search(text).catch(() => ({}));
    if (asked !== this.#asked) return;
    this.#options = Object.keys(found);
    this.#active = -1;
    this.list.replaceChildren(
      ...this.#options.map((id, place) => {
        const small = element("small", { textContent: id });
        const option = element("li", { id: `${this.list.id}-${place}` }, [found[id], " ", small]);
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        option.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
        option.addEventListener("click", () => this.#add([id]));
        return option;
      }),
    );
    this.#expand(this.#options.length > 0);
  }

  #expand(open) {
    this.list.hidden = !open;
    this.input.setAttribute("aria-expanded", String(open));
    if (!open) this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.#asked++;
    this.#active = -1;
    this.#expand(false);
  }

  #move(step) {
    const count = this.#options.length;
    this.#active = (this.#active + step + count + (this.#active < 0 && step < 0 ? 1 : 0)) % count;
    const option = this.list.children[this.#active];
    for (const each of this.list.children) each.setAttribute("aria-selected", String(each === option));
    this.input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const open = !this.list.hidden;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      this.#move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && open && this.#active >= 0) {
      this.#add([this.#options[this.#active]]);
    } else if (event.key === "Enter" && this.commit()) {
      // typed ids are taken over; only in an empty field does Enter ask
    } else if (event.key === "Escape" && open) {
      this.#close();
    } else if (event.key === "Backspace" && !this.input.value && this.#ids.length) {
      this.#remove(this.#ids.length - 1);
      return;
    } else {
      return;
    }
    event.preventDefault();
  }
}
