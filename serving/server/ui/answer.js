// What a model answered, read and shown: ranked items with titles and scores, or the outputs as they are.

import * as api from "/ui/api.js";

const LOWEST = -3.4e38; // the lowest finite float stands for an item that can't be ranked

/** Reads ranked items from the outputs of one user: [{id, score}], or null where there are none. */
export function ranked(outputs, candidates, k) {
  const scores = outputs.scores?.[0];
  if (!Array.isArray(scores)) return null;
  if (outputs.item_ids) {
    return outputs.item_ids[0].map((id, place) => ({ id, score: scores[place] })).filter(({ id }) => id).slice(0, k);
  }
  if (candidates?.length !== scores.length) return null;
  return candidates.map((id, place) => ({ id, score: scores[place] })).sort((a, b) => b.score - a.score);
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
