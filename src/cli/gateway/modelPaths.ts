/** Where the models of a file stand in it. */
import type { ModelEntry } from "../../models/fileModel.js"

/** Pairs each model with its path, such as `openai[0]`. */
export const of = (models: ReadonlyArray<ModelEntry>): ReadonlyArray<readonly [string, ModelEntry]> => {
  const counts = new Map<string, number>()
  return models.map((entry) => {
    const index = counts.get(entry.provider) ?? 0
    counts.set(entry.provider, index + 1)
    return [`${entry.provider}[${index}]`, entry]
  })
}
