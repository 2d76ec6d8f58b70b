/** What the simple API calls models. */
import type { Listed } from "../../Models.js"

export const nameOf = ({ model, provider }: Listed): string => `${provider}/${model}`

/** Every model once, however many entries of the list lead to it. */
export const distinct = (list: ReadonlyArray<Listed>): ReadonlyArray<Listed> =>
  Array.from(new Map([...list].reverse().map((each) => [nameOf(each), each])).values()).reverse()
