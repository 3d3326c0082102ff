/* Style sheets and scripts of the report, which the build puts into the binary as they stand in this folder
 * (embed.cmake). Not NUL-terminated. */
#ifndef LAY_REPORTS_HTML_ASSETS_H
#define LAY_REPORTS_HTML_ASSETS_H

#include <stddef.h>

extern const unsigned char lay_asset_analysis_css[];
extern const size_t lay_asset_analysis_css_size;
extern const unsigned char lay_asset_chart_css[];
extern const size_t lay_asset_chart_css_size;

#endif
