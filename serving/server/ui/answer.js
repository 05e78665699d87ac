// What a model answered: ranked items (or classes) are read from its outputs, and shown with titles and scores.

import * as api from "/ui/api.js";

const LOWEST = -3.4e38; // the lowest finite float stands for an item that can't be ranked

/**
 * Reads what is ranked from the outputs of one user: [{id, score}], or null where nothing is. Items come best first
 * with their scores, classes with their probabilities; scores alone belong to the candidates.
 */
export function ranked({ item_ids: items, classes, scores, probabilities }, candidates, k) {
  const names = (items ?? classes)?.[0] ?? candidates;
  const numbers = (scores ?? probabilities)?.[0];
  if (!Array.isArray(names) || !Array.isArray(numbers)) return null;
  if (!items && names.length !== numbers.length) return null;
  const rows = names.map((id, place) => ({ id, score: numbers[place] }));
  return items ? rows.filter(({ id }) => id).slice(0, k) : rows.sort((a, b) => b.score - a.score);
}

function text(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

/** Fills a list with ranked items; titles come where there are some. */
export async function showRanking(list, items, hasTitles) {
  const titles = hasTitles ? await api.titles(items.map(({ id }) => id)).catch(() => ({})) : {};
  const known = items.map(({ score }) => score).filter((score) => score > LOWEST);
  const best = Math.max(...known);
  const worst = Math.min(...known);
  list.replaceChildren(
    ...items.map(({ id, score }) => {
      const item = document.createElement("li");
      item.dataset.id = id;
      const isKnown = score > LOWEST;
      const bar = text("span", "bar", "");
      const share = best > worst ? (score - worst) / (best - worst) : 1;
      bar.style.inlineSize = isKnown ? `${8 + 92 * share}%` : "0";
      const name = text("span", "title", titles[id] || id);
      item.append(name, text("span", "id", titles[id] ? id : ""));
      item.append(text("span", "score", isKnown ? score.toFixed(4) : "unknown item"), bar);
      return item;
    }),
  );
}
