/** What Gemini's models accept of thinking. Source: Gemini API, "Thinking". */
import type { Effort } from "../effort.js"

/** The levels of models from Gemini 3 on, of which none can disable thinking. */
export const levelsOf = (model: string): ReadonlyArray<Effort> => {
  const [, version] = /gemini-([\d.]+)-pro/.exec(model) ?? []
  if (version === undefined) return ["minimal", "low", "medium", "high"]
  return version === "3" ? ["low", "high"] : ["low", "medium", "high"]
}

/** A budget within the range of a model of Gemini 2.5; that of 2.5 Pro cannot be 0. Other models have no range of their own. */
export const budgetWithin = (budget: number, model: string): number => {
  if (!/gemini-2\.5/.test(model)) return budget
  return /-pro/.test(model)
    ? Math.min(Math.max(budget, 128), 32_768)
    : budget === 0
      ? 0
      : Math.min(Math.max(budget, /-lite/.test(model) ? 512 : 1), 24_576)
}
