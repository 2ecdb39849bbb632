//! stub
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Info {
    pub server_id: String,
    pub server_name: String,
    pub version: String,
    pub proto: i32,
    pub git_commit: String,
    pub go: String,
    pub host: String,
    pub port: i32,
    pub headers: bool,
    pub max_payload: i32,
    pub client_id: u64,
    pub client_ip: String,
    pub connect_urls: Vec<String>,
    #[serde(rename = "ldm")]
    pub lame_duck_mode: bool,
    pub connect_info: bool,
    pub remote_account: String,
    pub is_system_account: bool,
    pub api_level: i64,
    pub xkey: String,
}
impl Info {
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"INFO ");
        out.extend(serde_json::to_vec(self).unwrap());
        out.extend_from_slice(b" \r\n");
    }
}
