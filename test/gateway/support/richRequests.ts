/**
 * A request in each protocol with every field of its API reference and unknown ones, in the form that the gateway sends to a
 * provider of the same protocol. Other forms of the same request are in `requestFields.test.ts`.
 */

const pixel = "iVBORw0KGgo="

const schema = {
  type: "object",
  properties: {
    city: { type: "string", description: "Where" },
    unit: { type: ["string", "null"], enum: ["C", "F", null] }
  },
  required: ["city", "unit"],
  additionalProperties: false
}

/** OpenAI, API reference: chat/create. */
const openai = {
  messages: [
    { role: "system", content: "Be brief.", name: "policy" },
    { role: "developer", content: [{ type: "text", text: "Use tools.", vendor: 1 }], name: "dev", note: { a: [1] } },
    {
      role: "user",
      name: "Ann",
      vendor_of_message: true,
      content: [
        { type: "text", text: "What is this?", vendor_of_part: { deep: [1] } },
        { type: "image_url", image_url: { url: "https://a.example/i.png", detail: "high", format: "image/png" } },
        { type: "image_url", image_url: { url: `data:image/png;base64,${pixel}`, detail: "original" } },
        { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav", channels: 2 }, vendor_of_part: 2 },
        { type: "file", file: { file_id: "file_1", vendor: "x" } },
        { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
        { type: "video_url", video_url: { url: "https://a.example/v.mp4" } }
      ]
    },
    {
      role: "assistant",
      content: null,
      name: "Bot",
      audio: { id: "audio_1" },
      tool_calls: [
        {
          id: "call_1",
          type: "function",
          function: { name: "weather", arguments: '{"city":"Rome","unit":null}', vendor: 1 },
          extra_content: { google: { thought_signature: "c2ln" } }
        },
        { id: "call_2", type: "custom", custom: { name: "sql", input: "SELECT 1" } }
      ]
    },
    { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "Sunny", vendor: 1 }], name: "weather" },
    { role: "tool", tool_call_id: "call_2", content: "1" },
    { role: "assistant", content: "It is sunny.", annotations: [{ type: "url_citation" }], weight: 0 },
    { role: "user", content: "And now?" },
    { role: "assistant", content: null, refusal: "No." },
    { role: "user", content: "Why?" },
    {
      role: "assistant",
      content: [
        { type: "text", text: "Well." },
        { type: "refusal", refusal: "I will not." }
      ]
    },
    { role: "user", content: "Go on." },
    { role: "assistant", content: "I", prefix: true }
  ],
  tools: [
    {
      type: "function",
      function: { name: "weather", description: "The weather.", parameters: schema, strict: true, vendor: { a: 1 } },
      cache_control: { type: "ephemeral" }
    },
    { type: "custom", custom: { name: "sql", format: { type: "text" } } },
    { type: "web_search", web_search: { size: 1 } }
  ],
  tool_choice: {
    type: "allowed_tools",
    allowed_tools: { mode: "auto", tools: [{ type: "function", function: { name: "weather" } }] }
  },
  parallel_tool_calls: false,
  response_format: {
    type: "json_schema",
    json_schema: { name: "answer", description: "The answer.", strict: true, schema, vendor: 1 },
    vendor: 2
  },
  max_completion_tokens: 100,
  temperature: 0.5,
  top_p: 0.9,
  stop: ["END"],
  seed: 7,
  user: "u_1",
  metadata: { team: "a" },
  reasoning_effort: "low",
  frequency_penalty: 0.1,
  presence_penalty: 0.2,
  logit_bias: { "50256": -100 },
  logprobs: true,
  top_logprobs: 2,
  modalities: ["text", "audio"],
  audio: { voice: "alloy", format: "wav" },
  prediction: { type: "content", content: "x" },
  web_search_options: { search_context_size: "low" },
  service_tier: "flex",
  store: true,
  verbosity: "low",
  prompt_cache_key: "k",
  safety_identifier: "s",
  vendor_field: { deep: [1, { two: null }] }
}

/** OpenRouter, API reference: the fields beyond OpenAI's. */
const openrouter = {
  messages: [
    { role: "system", content: [{ type: "text", text: "Long.", cache_control: { type: "ephemeral", ttl: "1h" } }] },
    {
      role: "user",
      content: [{ type: "text", text: "Longer.", cache_control: { type: "persistent", scope: "team" } }]
    },
    {
      role: "assistant",
      content: null,
      reasoning_details: [
        { type: "reasoning.text", text: "Hm.", signature: "sig", format: "anthropic-claude-v1", index: 0 },
        { type: "reasoning.encrypted", data: "sealed", id: "rs_1", format: "openai-responses-v1", index: 1 }
      ],
      tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }]
    },
    { role: "tool", tool_call_id: "call_1", content: "1" }
  ],
  tools: [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }],
  reasoning: { effort: "high", exclude: true },
  provider: { order: ["a"], allow_fallbacks: false },
  plugins: [{ id: "web" }],
  transforms: ["middle-out"],
  usage: { include: true },
  max_tokens: 100
}

/** DeepSeek, API reference: chat prefix completion, thinking mode. */
const deepseek = {
  messages: [
    { role: "user", content: "Write." },
    { role: "assistant", content: "```", prefix: true, reasoning_content: "Code." }
  ],
  thinking: { type: "enabled", vendor: 1 },
  max_tokens: 100
}

/** Anthropic, API reference: "Create a Message". */
const anthropic = {
  max_tokens: 9000,
  system: [
    { type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } },
    { type: "text", text: "Be kind.", citations: [{ type: "char_location", cited_text: "x" }], vendor: 1 }
  ],
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "See", cache_control: { type: "ephemeral" }, vendor_of_block: 1 },
        { type: "text", text: "these", cache_control: { type: "ephemeral", ttl: "30m" } },
        { type: "image", source: { type: "base64", media_type: "image/png", data: pixel }, vendor_of_block: 2 },
        { type: "image", source: { type: "url", url: "https://a.example/i.png" } },
        { type: "image", source: { type: "file", file_id: "file_1" } },
        {
          type: "document",
          source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
          title: "a.pdf",
          context: "Of 2024.",
          citations: { enabled: true },
          cache_control: { type: "ephemeral" }
        },
        {
          type: "document",
          source: { type: "text", media_type: "text/plain", data: "Grüße" },
          citations: { enabled: false }
        },
        { type: "document", source: { type: "content", content: [{ type: "text", text: "x" }] } },
        { type: "document", source: { type: "file", file_id: "file_2" }, title: "b" },
        {
          type: "search_result",
          source: "https://a.example",
          title: "A",
          content: [{ type: "text", text: "x" }],
          citations: { enabled: true }
        },
        { type: "container_upload", file_id: "file_3" }
      ]
    },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "Hm.", signature: "sig_1" },
        { type: "redacted_thinking", data: "sealed" },
        { type: "text", text: "I search." },
        { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
        {
          type: "web_search_tool_result",
          tool_use_id: "srvtoolu_1",
          content: [{ type: "web_search_result", url: "https://a.example", title: "A", encrypted_content: "e" }]
        },
        { type: "thinking", thinking: "So.", signature: "sig_2", vendor_of_block: 3 },
        {
          type: "text",
          text: "It is so.",
          citations: [{ type: "web_search_result_location", url: "https://a.example", encrypted_index: "i" }]
        },
        { type: "mcp_tool_use", id: "mcptoolu_1", name: "echo", server_name: "s", input: {} },
        { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", is_error: false, content: [] },
        {
          type: "tool_use",
          id: "toolu_1",
          name: "weather",
          input: { city: "Rome" },
          caller: { type: "direct" },
          cache_control: { type: "ephemeral" }
        },
        { type: "tool_use", id: "toolu_2", name: "weather", input: {} }
      ]
    },
    {
      role: "user",
      content: [
        {
          type: "tool_result",
          tool_use_id: "toolu_1",
          content: [
            { type: "text", text: "Sunny", citations: [{ type: "page_location" }] },
            { type: "image", source: { type: "base64", media_type: "image/png", data: pixel } },
            { type: "tool_reference", tool_name: "weather" },
            { type: "search_result", source: "s", title: "t", content: [] }
          ],
          is_error: false,
          cache_control: { type: "ephemeral", ttl: "5m" },
          vendor_of_block: 4
        },
        { type: "tool_result", tool_use_id: "toolu_2", content: "none" },
        { type: "text", text: "And?" }
      ]
    },
    { role: "assistant", content: [{ type: "text", text: "It" }] }
  ],
  tools: [
    {
      name: "weather",
      description: "The weather.",
      input_schema: schema,
      cache_control: { type: "ephemeral" },
      defer_loading: true,
      allowed_callers: ["direct"],
      input_examples: [{ city: "Rome" }]
    },
    { type: "web_search_20250305", name: "web_search", max_uses: 3 },
    { type: "bash_20250124", name: "bash" }
  ],
  tool_choice: { type: "auto", disable_parallel_tool_use: true },
  thinking: { type: "enabled", budget_tokens: 2000 },
  output_config: { effort: "low", task_budget: { type: "tokens", total: 5 } },
  stop_sequences: ["END"],
  metadata: { user_id: "u_1", vendor: "x" },
  service_tier: "auto",
  container: { id: "c_1", skills: [{ type: "anthropic", skill_id: "pdf" }] },
  context_management: { edits: [{ type: "clear_tool_uses_20250919" }] },
  mcp_servers: [{ type: "url", url: "https://a.example/mcp", name: "s" }],
  inference_geo: "eu",
  vendor_field: { deep: [1] }
}

/** OpenAI, API reference: responses/create. */
const responses = {
  instructions: "Be brief.",
  input: [
    { type: "message", role: "developer", content: [{ type: "input_text", text: "Use tools." }] },
    { type: "message", role: "system", content: "Be kind.", id: "msg_0", status: "completed" },
    {
      type: "message",
      role: "user",
      status: "completed",
      content: [
        { type: "input_text", text: "See", vendor_of_part: { deep: [1] } },
        { type: "input_image", image_url: "https://a.example/i.png", detail: "high" },
        { type: "input_image", image_url: `data:image/png;base64,${pixel}`, detail: "original" },
        { type: "input_image", file_id: "file_1", detail: "auto" },
        { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
        { type: "input_file", file_url: "https://a.example/a.pdf", detail: "low" },
        { type: "input_file", file_id: "file_2" },
        { type: "input_video", video_url: "https://a.example/v.mp4" }
      ]
    },
    { type: "item_reference", id: "rs_0" },
    {
      type: "reasoning",
      id: "rs_1",
      status: "completed",
      summary: [
        { type: "summary_text", text: "Hm." },
        { type: "summary_text", text: "So." }
      ],
      encrypted_content: "sealed"
    },
    { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "x" } },
    { type: "file_search_call", id: "fs_1", status: "completed", queries: ["x"], results: null },
    { type: "code_interpreter_call", id: "ci_1", status: "completed", code: "1", container_id: "c", outputs: [] },
    { type: "image_generation_call", id: "ig_1", status: "completed", result: pixel },
    { type: "mcp_list_tools", id: "mcpl_1", server_label: "s", tools: [] },
    { type: "mcp_call", id: "mcp_1", server_label: "s", name: "echo", arguments: "{}", output: "x" },
    { type: "mcp_approval_request", id: "mcpr_1", server_label: "s", name: "echo", arguments: "{}" },
    { type: "mcp_approval_response", approval_request_id: "mcpr_1", approve: true },
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      phase: "commentary",
      content: [
        {
          type: "output_text",
          text: "It is so.",
          annotations: [{ type: "url_citation", url: "https://a.example", start_index: 0, end_index: 2, title: "A" }],
          logprobs: [{ token: "It", logprob: -0.1 }]
        },
        { type: "refusal", refusal: "But no." }
      ]
    },
    {
      type: "function_call",
      id: "fc_1",
      call_id: "call_1",
      name: "weather",
      arguments: '{"city":"Rome"}',
      status: "completed",
      namespace: "n"
    },
    { type: "custom_tool_call", id: "ctc_1", call_id: "call_2", name: "sql", input: "SELECT 1" },
    { type: "function_call_output", id: "fco_1", call_id: "call_1", output: "Sunny", status: "completed" },
    {
      type: "custom_tool_call_output",
      call_id: "call_2",
      output: [
        { type: "input_text", text: "1" },
        { type: "input_image", file_id: "file_3" }
      ]
    },
    {
      type: "computer_call",
      id: "cu_1",
      call_id: "call_3",
      status: "completed",
      action: { type: "wait" },
      pending_safety_checks: []
    },
    {
      type: "computer_call_output",
      call_id: "call_3",
      output: { type: "computer_screenshot", image_url: `data:image/png;base64,${pixel}` }
    },
    { type: "local_shell_call", id: "ls_1", call_id: "call_4", status: "completed", action: { type: "exec" } },
    { type: "local_shell_call_output", id: "ls_1", output: "x" },
    { type: "apply_patch_call", call_id: "call_5", status: "completed", operation: { type: "delete_file", path: "a" } },
    { type: "apply_patch_call_output", call_id: "call_5", status: "completed" },
    { type: "compaction", id: "cmp_1", encrypted_content: "sealed" },
    { type: "message", role: "user", content: "And?" }
  ],
  tools: [
    {
      type: "function",
      name: "weather",
      description: "The weather.",
      parameters: { type: "object" },
      defer_loading: true
    },
    { type: "function", name: "now", parameters: schema, strict: true },
    { type: "web_search", search_context_size: "low" },
    { type: "mcp", server_label: "s", server_url: "https://a.example/mcp", require_approval: "never" },
    { type: "custom", name: "sql", format: { type: "text" } }
  ],
  tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "weather" }] },
  parallel_tool_calls: false,
  text: { format: { type: "json_schema", name: "answer", schema, strict: true, vendor: 1 }, verbosity: "low" },
  reasoning: { effort: "low", summary: "auto", context: "all" },
  max_output_tokens: 100,
  max_tool_calls: 2,
  temperature: 0.5,
  top_p: 0.9,
  top_logprobs: 2,
  user: "u_1",
  metadata: { team: "a" },
  include: ["web_search_call.action.sources"],
  previous_response_id: "resp_0",
  store: true,
  prompt_cache_key: "k",
  prompt_cache_retention: "24h",
  safety_identifier: "s",
  service_tier: "flex",
  truncation: "auto",
  context_management: [{ type: "compaction", compact_threshold: 1000 }],
  vendor_field: { deep: [1] },
  stream: false
}

export const rich = { openai, openrouter, deepseek, anthropic, responses }
