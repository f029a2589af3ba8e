// SettingsAPI
