//! Owns the device presets: windows by the names of devices. Sizes are CSS pixels of the screen in
//! portrait, as Chromium's DevTools and the makers list them.

use serde::Serialize;

use super::page::Viewport;

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                      (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const IPAD: &str = "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
                    like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/156.0.0.0 Mobile Safari/537.36";
/// The browser's own.
const OWN: &str = "";

/// A preset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// What requests call it.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel.
    pub device_scale_factor: f64,
    /// Whether it is a phone or a tablet.
    pub mobile: bool,
    #[serde(skip)]
    user_agent: &'static str,
}

impl Device {
    /// The window it has.
    pub fn viewport(&self) -> Viewport {
        Viewport {
            width: self.width,
            height: self.height,
            device_scale_factor: self.device_scale_factor,
            mobile: self.mobile,
            touch: self.mobile,
        }
    }

    /// How its browser names itself, unless it is like ours.
    pub fn user_agent(&self) -> Option<&'static str> {
        (!self.user_agent.is_empty()).then_some(self.user_agent)
    }
}

const fn device(
    id: &'static str,
    name: &'static str,
    (width, height): (u32, u32),
    device_scale_factor: f64,
    mobile: bool,
    user_agent: &'static str,
) -> Device {
    Device { id, name, width, height, device_scale_factor, mobile, user_agent }
}

/// Every preset.
pub const DEVICES: &[Device] = &[
    device("iphone_se", "iPhone SE", (375, 667), 2.0, true, IPHONE),
    device("iphone_xr", "iPhone XR", (414, 896), 2.0, true, IPHONE),
    device("iphone_12", "iPhone 12", (390, 844), 3.0, true, IPHONE),
    device("iphone_12_mini", "iPhone 12 mini", (375, 812), 3.0, true, IPHONE),
    device("iphone_13_pro", "iPhone 13 Pro", (390, 844), 3.0, true, IPHONE),
    device("iphone_14", "iPhone 14", (390, 844), 3.0, true, IPHONE),
    device("iphone_14_pro", "iPhone 14 Pro", (393, 852), 3.0, true, IPHONE),
    device("iphone_14_pro_max", "iPhone 14 Pro Max", (430, 932), 3.0, true, IPHONE),
    device("iphone_15", "iPhone 15", (393, 852), 3.0, true, IPHONE),
    device("iphone_15_pro_max", "iPhone 15 Pro Max", (430, 932), 3.0, true, IPHONE),
    device("pixel_5", "Pixel 5", (393, 851), 2.75, true, ANDROID),
    device("pixel_7", "Pixel 7", (412, 915), 2.625, true, ANDROID),
    device("galaxy_s8_plus", "Galaxy S8+", (360, 740), 4.0, true, ANDROID),
    device("galaxy_s20_ultra", "Galaxy S20 Ultra", (412, 915), 3.5, true, ANDROID),
    device("galaxy_a51", "Galaxy A51/71", (412, 914), 2.625, true, ANDROID),
    device("galaxy_z_fold_5", "Galaxy Z Fold 5", (344, 882), 3.0, true, ANDROID),
    device("surface_duo", "Surface Duo", (540, 720), 2.5, true, ANDROID),
    device("ipad_mini", "iPad mini", (768, 1024), 2.0, true, IPAD),
    device("ipad_air", "iPad Air", (820, 1180), 2.0, true, IPAD),
    device("ipad_pro", "iPad Pro 12.9", (1024, 1366), 2.0, true, IPAD),
    device("surface_pro_7", "Surface Pro 7", (912, 1368), 2.0, true, OWN),
    device("nest_hub", "Nest Hub", (1024, 600), 2.0, true, OWN),
    device("macbook_air_13", "MacBook Air 13", (1440, 900), 2.0, false, OWN),
    device("macbook_pro_14", "MacBook Pro 14", (1512, 982), 2.0, false, OWN),
    device("macbook_pro_16", "MacBook Pro 16", (1728, 1117), 2.0, false, OWN),
    device("desktop_hd", "Desktop 1366 × 768", (1366, 768), 1.0, false, OWN),
    device("desktop_full_hd", "Desktop 1920 × 1080", (1920, 1080), 1.0, false, OWN),
    device("desktop_qhd", "Desktop 2560 × 1440", (2560, 1440), 1.0, false, OWN),
];

/// The preset that requests call `id`.
pub fn find(id: &str) -> Option<&'static Device> {
    DEVICES.iter().find(|device| device.id == id)
}

/// The id that `id` was probably meant to be.
pub fn nearest(id: &str) -> &'static str {
    let distance = |device: &&Device| strsim::damerau_levenshtein(device.id, &id.to_lowercase());
    DEVICES.iter().min_by_key(distance).map_or("", |device| device.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_found() {
        assert!(DEVICES.len() >= 25, "the hosted API has 25 or more");
        for device in DEVICES {
            assert_eq!(find(device.id), Some(device), "{}", device.id);
        }
        assert_eq!(nearest("iPhone_14_por"), "iphone_14_pro");
        let pro = find("iphone_14_pro").expect("known").viewport();
        assert_eq!((pro.width, pro.height, pro.mobile), (393, 852, true));
    }
}
