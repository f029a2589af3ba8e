internal import StrictJSON

// The fields of the settings forms (settings spec, section 7). Descriptions are our own words (D17).

enum FormTables {
  static let general: [FormField] = [
    FormField(
      "agent", "Agent", .string, "CodeActAgent", .major,
      description: "Which agent implementation runs conversations."),
    FormField(
      "tools", "Tools", .array, .null, .major,
      description: "The tools the agent gets; empty for the standard set."),
    FormField(
      "enable_sub_agents", "Enable sub-agents", .boolean, false, .major,
      description: "Lets the agent hand work to sub-agents."),
    FormField(
      "enable_switch_llm_tool", "Enable LLM switching tool", .boolean, true,
      description: "Lets the agent change its language model during a conversation."),
    FormField(
      "tool_concurrency_limit", "Parallel tool calls", .integer, 1, .major,
      description: "How many tool calls may run at the same time."),
    FormField(
      "mcp_config", "MCP servers", .object, [:],
      description: "Servers that offer further tools, by name."),
  ]

  static let llm: [FormField] = [
    FormField(
      "model", "Model", .string, "gpt-5.5", .critical,
      description: "Model name with its provider in front, as in openai/gpt-5.5."),
    FormField(
      "api_key", "API Key", .string, .null, .critical, isSecret: true,
      description: "Key of the model provider."),
    FormField(
      "provider_connection_id", "Provider Connection ID", .string, .null, .major,
      description: "A stored connection whose key and address are used instead."),
    FormField(
      "auth_type", "Authentication", .string, "api_key", .critical, choices: ["api_key", "subscription"],
      description: "Whether the provider is paid by key or by subscription."),
    FormField(
      "subscription_vendor", "Subscription provider", .string, .null, .critical, dependsOn: ["llm.auth_type"], choices: ["openai"],
      description: "Whose subscription is used."),
    FormField(
      "base_url", "Base URL", .string, .null, .major,
      description: "Address of the provider when it is not the usual one."),
    FormField(
      "api_version", "API Version", .string, .null,
      description: "Version of the API, for providers that want one."),
    FormField(
      "aws_access_key_id", "AWS Access Key ID", .string, .null, isSecret: true,
      description: "Id of the AWS access key."),
    FormField(
      "aws_secret_access_key", "AWS Secret Access Key", .string, .null, isSecret: true,
      description: "Secret part of the AWS access key."),
    FormField(
      "aws_session_token", "AWS Session Token", .string, .null, isSecret: true,
      description: "Token of a temporary AWS session."),
    FormField(
      "aws_region_name", "AWS Region Name", .string, .null,
      description: "AWS region that serves the model."),
    FormField(
      "aws_profile_name", "AWS Profile Name", .string, .null,
      description: "AWS profile to take credentials from."),
    FormField(
      "aws_role_name", "AWS Role Name", .string, .null,
      description: "AWS role to assume."),
    FormField(
      "aws_session_name", "AWS Session Name", .string, .null,
      description: "Name for the assumed session."),
    FormField(
      "aws_bedrock_runtime_endpoint", "AWS Bedrock Runtime Endpoint", .string, .null,
      description: "Own address of the Bedrock runtime."),
    FormField(
      "openrouter_site_url", "Openrouter Site URL", .string, "https://docs.all-hands.dev/",
      description: "Site that OpenRouter is told the calls come from."),
    FormField(
      "openrouter_app_name", "Openrouter App Name", .string, "OpenHands",
      description: "Application name that OpenRouter is told."),
    FormField(
      "num_retries", "Num Retries", .integer, 5,
      description: "How often a failed call is tried again."),
    FormField(
      "retry_multiplier", "Retry Multiplier", .number, .decimal("8.0"),
      description: "Factor by which the wait between tries grows."),
    FormField(
      "retry_min_wait", "Retry Min Wait", .integer, 8,
      description: "Shortest wait between tries, in seconds."),
    FormField(
      "retry_max_wait", "Retry Max Wait", .integer, 64,
      description: "Longest wait between tries, in seconds."),
    FormField(
      "timeout", "Timeout", .integer, 300,
      description: "Longest duration of a call, in seconds."),
    FormField(
      "max_message_chars", "Max Message Chars", .integer, 30000,
      description: "Longest text of one message, in characters."),
    FormField(
      "temperature", "Temperature", .number, .null,
      description: "How freely the model chooses; 0 is the strictest."),
    FormField(
      "top_p", "Top P", .number, .null,
      description: "Share of the probability the model chooses from."),
    FormField(
      "top_k", "Top K", .number, .null,
      description: "Number of candidates the model chooses from."),
    FormField(
      "max_input_tokens", "Max Input Tokens", .integer, .null,
      description: "Longest input, in tokens."),
    FormField(
      "max_output_tokens", "Max Output Tokens", .integer, .null,
      description: "Longest output, in tokens."),
    FormField(
      "model_canonical_name", "Model Canonical Name", .string, .null,
      description: "Name under which the features of the model are looked up."),
    FormField(
      "api_mode", "API Mode", .string, "auto", choices: ["auto", "chat", "responses"],
      description: "Which of the provider's interfaces is used."),
    FormField(
      "capability_overrides", "Capability Overrides", .object, [:],
      description: "Features to take as present or absent, whatever is known of the model."),
    FormField(
      "extra_headers", "Extra Headers", .object, .null,
      description: "Header fields to send with each call."),
    FormField(
      "input_cost_per_token", "Input Cost Per Token", .number, .null,
      description: "Price of one input token."),
    FormField(
      "output_cost_per_token", "Output Cost Per Token", .number, .null,
      description: "Price of one output token."),
    FormField(
      "ollama_base_url", "Ollama Base URL", .string, .null,
      description: "Address of an Ollama server."),
    FormField(
      "stream", "Stream", .boolean, false,
      description: "Receives answers piece by piece."),
    FormField(
      "drop_params", "Drop Params", .boolean, true,
      description: "Leaves out parameters the provider does not know."),
    FormField(
      "modify_params", "Modify Params", .boolean, true,
      description: "Allows parameters to be adapted to the provider."),
    FormField(
      "disable_vision", "Disable Vision", .boolean, .null,
      description: "Never sends images."),
    FormField(
      "disable_stop_word", "Disable Stop Word", .boolean, false,
      description: "Sends no stop words."),
    FormField(
      "caching_prompt", "Caching Prompt", .boolean, true,
      description: "Uses the provider's prompt cache."),
    FormField(
      "log_completions", "Log Completions", .boolean, false,
      description: "Writes each call to a file."),
    FormField(
      "log_completions_folder", "Log Completions Folder", .string, "logs/completions",
      description: "Folder of those files."),
    FormField(
      "custom_tokenizer", "Custom Tokenizer", .string, .null,
      description: "Tokenizer to count with."),
    FormField(
      "native_tool_calling", "Native Tool Calling", .boolean, true,
      description: "Uses the model's own way of calling tools."),
    FormField(
      "force_string_serializer", "Force String Serializer", .boolean, .null,
      description: "Sends message content as plain text."),
    FormField(
      "inline_image_urls", "Inline Image Urls", .boolean, .null,
      description: "Sends images inside the message instead of by address."),
    FormField(
      "reasoning_effort", "Reasoning Effort", .string, "high",
      description: "How long the model may think."),
    FormField(
      "reasoning_summary", "Reasoning Summary", .string, .null, choices: ["auto", "concise", "detailed"],
      description: "How thinking is summed up."),
    FormField(
      "enable_encrypted_reasoning", "Enable Encrypted Reasoning", .boolean, true,
      description: "Asks for reasoning in sealed form."),
    FormField(
      "prompt_cache_retention", "Prompt Cache Retention", .string, "24h",
      description: "How long the provider keeps a cached prompt."),
    FormField(
      "extended_thinking_budget", "Extended Thinking Budget", .integer, 200000,
      description: "Longest extended thinking, in tokens."),
    FormField(
      "seed", "Seed", .integer, .null,
      description: "Seed for repeatable answers."),
    FormField(
      "usage_id", "Usage ID", .string, "default",
      description: "Name under which use is counted."),
    FormField(
      "litellm_extra_body", "Litellm Extra Body", .object, [:],
      description: "Further members of the request body."),
  ]

  static let context: [FormField] = [
    FormField(
      "load_memory", "Persistent memory", .boolean, false, .major,
      description: "Keeps what the agent learned for later conversations.")
  ]

  static let condenser: [FormField] = [
    FormField(
      "enabled", "Enable memory condensation", .boolean, true, .critical,
      description: "Shortens long histories."),
    FormField(
      "max_size", "Max size", .integer, 240, dependsOn: ["condenser.enabled"],
      description: "History length that triggers shortening, in events."),
    FormField(
      "condenser_kind", "Condenser Kind", .string, "llm_summarizing", choices: ["llm_summarizing", "no_op"],
      description: "How histories are shortened."),
    FormField(
      "max_tokens", "Max tokens", .integer, .null, dependsOn: ["condenser.enabled"],
      description: "History length that triggers shortening, in tokens."),
    FormField(
      "keep_first", "Keep first", .integer, 2, dependsOn: ["condenser.enabled"],
      description: "Events at the start that always stay."),
    FormField(
      "minimum_progress", "Minimum progress", .number, .decimal("0.1"), dependsOn: ["condenser.enabled"],
      description: "Share by which one shortening must shrink the history."),
    FormField(
      "hard_context_reset_max_retries", "Hard reset retries", .integer, 5, dependsOn: ["condenser.enabled"],
      description: "Tries of a complete restart of the context."),
    FormField(
      "hard_context_reset_context_scaling", "Hard reset scaling", .number, .decimal("0.8"), dependsOn: ["condenser.enabled"],
      description: "Factor by which each of those tries shrinks the context."),
  ]

  static let verification: [FormField] = [
    FormField(
      "critic_enabled", "Enable critic", .boolean, false, .critical,
      description: "Has finished work judged."),
    FormField(
      "critic_mode", "Critic mode", .string, "finish_and_message", dependsOn: ["verification.critic_enabled"],
      choices: ["finish_and_message", "all_actions"],
      description: "What is judged: finished work and messages, or every action."),
    FormField(
      "enable_iterative_refinement", "Enable iterative refinement", .boolean, false, .critical, dependsOn: ["verification.critic_enabled"],
      description: "Sends judged work back for another round."),
    FormField(
      "critic_threshold", "Critic threshold", .number, .decimal("0.6"),
      dependsOn: ["verification.critic_enabled", "verification.enable_iterative_refinement"],
      description: "Score below which work goes back."),
    FormField(
      "max_refinement_iterations", "Max refinement iterations", .integer, 3,
      dependsOn: ["verification.critic_enabled", "verification.enable_iterative_refinement"],
      description: "Most rounds of refinement."),
    FormField(
      "critic_server_url", "Critic server URL", .string, .null, dependsOn: ["verification.critic_enabled"],
      description: "Address of the judging service."),
    FormField(
      "critic_model_name", "Critic model name", .string, .null, dependsOn: ["verification.critic_enabled"],
      description: "Model of the judging service."),
    FormField(
      "critic_api_key", "Critic API Key", .string, .null, .critical, dependsOn: ["verification.critic_enabled"], isSecret: true,
      description: "Key of the judging service."),
  ]

  static let acp: [FormField] = [
    FormField(
      "acp_server", "ACP server", .string, "claude-code", .critical, choices: ["claude-code", "codex", "gemini-cli", "custom"],
      description: "Which agent program is started."),
    FormField(
      "acp_command", "ACP command (custom override)", .array, [],
      description: "Command line for a program of one's own."),
    FormField(
      "acp_args", "ACP extra args", .array, [],
      description: "Further arguments of the program."),
    FormField(
      "acp_model", "ACP model", .string, .null, .critical,
      description: "Model the program is told to use."),
    FormField(
      "acp_session_mode", "ACP session mode", .string, .null,
      description: "Mode the program starts in."),
    FormField(
      "acp_prompt_timeout", "ACP prompt inactivity timeout (seconds)", .number, .decimal("1800.0"),
      description: "Longest silence during a prompt, in seconds."),
    FormField(
      "acp_startup_timeout", "ACP startup timeout (seconds)", .number, .decimal("90.0"),
      description: "Longest start, in seconds."),
  ]

  static let conversation: [FormField] = [
    FormField(
      "max_iterations", "Max iterations", .integer, 500, .major,
      description: "Most steps of one conversation.")
  ]

  static let confirmation: [FormField] = [
    FormField(
      "confirmation_mode", "Confirmation mode", .boolean, false, .critical,
      description: "Asks before risky actions."),
    FormField(
      "security_analyzer", "Security analyzer", .string, "llm", .major, dependsOn: ["confirmation_mode"], choices: ["llm", "none"],
      description: "Who judges the risk of actions."),
  ]
}
