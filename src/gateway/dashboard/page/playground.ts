/** The playground: a form for a request, its answer as it comes, and the request as code. */
import type { LoggedRequest } from "../requestLog.js"
import type { Snapshot } from "../snapshot.js"
import { copy } from "./actions.js"
import { element, elementById, setText, setVisible } from "./dom.js"
import * as Format from "./format.js"
import type { Answer } from "./playgroundCall.js"
import * as Call from "./playgroundCall.js"
import type { Fields } from "./playgroundCode.js"
import * as Code from "./playgroundCode.js"

export interface Playground {
  /** Offers the models of the gateway. */
  readonly offer: (models: Snapshot["models"]) => void
  /** Shows the cost of the last request, once it is in the request log. */
  readonly logged: (requests: ReadonlyArray<LoggedRequest>) => void
}

const optionsOf = (names: ReadonlyArray<string>): ReadonlyArray<HTMLOptionElement> =>
  names.map((name) => element("option", { value: name }, name))

const fieldsOf = (form: HTMLFormElement): Fields => {
  const data = new FormData(form)
  const text = (name: string): string => {
    const value = data.get(name)
    return typeof value === "string" ? value.trim() : ""
  }
  return {
    model: text("model"),
    system: text("system"),
    message: text("message"),
    temperature: text("temperature"),
    maxTokens: text("maxTokens"),
    effort: text("effort"),
    stream: data.has("stream"),
    json: data.has("json")
  }
}

export const mount = (token: () => string | null): Playground => {
  const form = elementById("playground-form", HTMLFormElement)
  const model = elementById("playground-model", HTMLSelectElement)
  const language = elementById("playground-language", HTMLSelectElement)
  const code = elementById("playground-code", HTMLElement)
  const sendButton = elementById("playground-send", HTMLButtonElement)
  const stopButton = elementById("playground-stop", HTMLButtonElement)
  const result = elementById("playground-result", HTMLDivElement)
  const problem = elementById("playground-problem", HTMLParagraphElement)
  const reasoning = elementById("playground-reasoning", HTMLDetailsElement)
  const text = elementById("playground-answer", HTMLParagraphElement)
  const facts = elementById("playground-facts", HTMLDListElement)
  let offered = ""
  let current: AbortController | undefined
  let requestId = ""
  let cost = "–"
  let latest: { readonly answer: Answer; readonly duration: number } | undefined

  const showCode = (): void => {
    const address = new URL("v1", document.baseURI).href
    setText(code, Code.languages[language.value]?.(address, fieldsOf(form)) ?? "")
  }

  const showFacts = (): void => {
    if (latest === undefined) return
    const { answer, duration } = latest
    const time = (millis: number | undefined): string => (millis === undefined ? "–" : Format.duration(millis))
    const shown = [
      [
        "Tokens",
        answer.inputTokens === undefined
          ? "–"
          : `${Format.count(answer.inputTokens)} in, ${Format.count(answer.outputTokens ?? 0)} out`
      ],
      ["Cost", cost],
      ["First token", time(answer.firstToken)],
      ["Duration", time(duration)],
      ["Finish reason", answer.finishReason ?? "–"],
      ["Request id", requestId]
    ] as const
    facts.replaceChildren(
      ...shown.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))
    )
  }

  const showAnswer = (answer: Answer, duration: number): void => {
    latest = { answer, duration }
    setText(text, answer.text)
    setText(reasoning.lastElementChild ?? reasoning, answer.reasoning)
    setVisible(reasoning, answer.reasoning !== "")
    showFacts()
  }

  const run = async (fields: Fields): Promise<void> => {
    const controller = new AbortController()
    current = controller
    requestId = `playground-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`
    cost = "–"
    const startedAt = performance.now()
    let answer: Answer = { text: "", reasoning: "" }
    setVisible(sendButton, false)
    setVisible(stopButton, true)
    stopButton.focus()
    setVisible(result, true)
    setText(problem, "")
    showAnswer(answer, 0)
    try {
      await Call.send({
        token: token(),
        requestId,
        body: Code.bodyOf(fields),
        signal: controller.signal,
        update: (next) => {
          answer = next
          showAnswer(answer, performance.now() - startedAt)
        }
      })
    } catch (error) {
      setText(
        problem,
        controller.signal.aborted
          ? "Stopped: what came until then is charged."
          : error instanceof Call.CallFailed
            ? error.message
            : "The connection to the gateway is lost."
      )
    }
    showAnswer(answer, performance.now() - startedAt)
    const hadFocus = document.activeElement === stopButton
    setVisible(stopButton, false)
    setVisible(sendButton, true)
    if (hadFocus) sendButton.focus()
    current = undefined
  }

  language.append(...optionsOf(Object.keys(Code.languages)))
  form.addEventListener("input", showCode)
  language.addEventListener("change", showCode)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    if (current === undefined) void run(fieldsOf(form))
  })
  stopButton.addEventListener("click", () => current?.abort())
  elementById("playground-copy", HTMLButtonElement).addEventListener("click", () =>
    copy(code.textContent ?? "", "The request is copied")
  )
  showCode()

  return {
    offer: (models) => {
      const names = models.flatMap(({ aliases, id }) => [id, ...aliases])
      if (names.join("\n") === offered) return
      offered = names.join("\n")
      const selected = model.value
      model.replaceChildren(...optionsOf(names))
      if (names.includes(selected)) model.value = selected
      showCode()
    },
    logged: (requests) => {
      const found = requests.find((request) => request.requestId === requestId)
      if (found === undefined) return
      cost = Format.costOf(found)
      showFacts()
    }
  }
}
