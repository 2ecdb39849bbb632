//! stub
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(default)]
pub struct ConnectOptions {
    pub verbose: bool,
    pub pedantic: bool,
    pub echo: bool,
    pub headers: bool,
    pub no_responders: bool,
    pub protocol: i64,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub account: String,
    pub new_account: bool,
}
impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            protocol: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            account: String::new(),
            new_account: false,
        }
    }
}
impl ConnectOptions {
    pub fn update(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        *self = serde_json::from_slice(json)?;
        Ok(())
    }
}
