# cmake -DOUTPUT=assets.c -DHEADER=assets.h -DFILES="a/report.css;b/report.js" -P embed.cmake
# Writes a C file in which lay_asset_report_css[] holds the bytes of report.css, and so on.
set(text "/* Made by embed.cmake. */\n#include \"${HEADER}\"\n")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(APPEND text "const unsigned char lay_asset_${name}[] = {${bytes}};\n")
  string(APPEND text "const size_t lay_asset_${name}_size = ${size};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
